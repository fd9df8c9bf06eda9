#include "worker/sandbox/control.h"

#include "base/cbor.h"

namespace phase::sandbox::control {
namespace {

constexpr std::uint64_t kHello = 0, kForked = 1, kRefused = 2, kExited = 3;
constexpr std::uint64_t kLayersMax = 16;
constexpr std::uint64_t kStatusMax = 255;

Result<Hello> decode_hello(CborReader& reader) {
  Hello hello;
  PHASE_TRY(const std::uint64_t count, reader.array());
  if (count > kLayersMax) return fail(Code::malformed, "a hello names too many layers");
  for (std::uint64_t i = 0; i < count; i++) {
    PHASE_TRY(const std::string_view name, reader.text());
    hello.layers.emplace_back(name);
  }
  PHASE_TRY(const std::string_view missing, reader.text());
  PHASE_TRY(const ByteView about, reader.bytes());
  if (about.size() > kAboutBytesMax) return fail(Code::malformed, "a hello is too long");
  hello.missing = missing;
  hello.about = to_bytes(about);
  return hello;
}

Result<Exited> decode_exited(CborReader& reader) {
  PHASE_TRY(const std::uint64_t id, reader.uint());
  PHASE_TRY(const std::uint64_t signal, reader.uint());
  PHASE_TRY(const std::uint64_t code, reader.uint());
  if (signal > kStatusMax || code > kStatusMax) {
    return fail(Code::malformed, "an exit status is out of range");
  }
  return Exited{id, static_cast<int>(signal), static_cast<int>(code)};
}

Result<FromZygote> decode_body(std::uint64_t kind, CborReader& reader) {
  switch (kind) {
    case kHello:
      return decode_hello(reader);
    case kForked: {
      PHASE_TRY(const std::uint64_t id, reader.uint());
      return Forked{id};
    }
    case kRefused: {
      PHASE_TRY(const std::string_view why, reader.text());
      return Refused{std::string(why)};
    }
    case kExited:
      return decode_exited(reader);
    default:
      return fail(Code::malformed, "a message of a zygote has an unknown kind");
  }
}

}  // namespace

Bytes encode(const FromZygote& message) {
  CborWriter writer;
  if (const auto* hello = std::get_if<Hello>(&message)) {
    writer.array(4).uint(kHello).array(hello->layers.size());
    for (const std::string& layer : hello->layers) writer.text(layer);
    writer.text(hello->missing).bytes(hello->about);
  } else if (const auto* forked = std::get_if<Forked>(&message)) {
    writer.array(2).uint(kForked).uint(forked->id);
  } else if (const auto* refused = std::get_if<Refused>(&message)) {
    writer.array(2).uint(kRefused).text(refused->why);
  } else {
    const auto& exited = std::get<Exited>(message);
    writer.array(4).uint(kExited).uint(exited.id);
    writer.uint(static_cast<std::uint64_t>(exited.signal));
    writer.uint(static_cast<std::uint64_t>(exited.code));
  }
  return std::move(writer).take();
}

Result<FromZygote> decode(ByteView bytes) {
  CborReader reader(bytes);
  PHASE_TRY_VOID(reader.array());
  PHASE_TRY(const std::uint64_t kind, reader.uint());
  PHASE_TRY(FromZygote message, decode_body(kind, reader));
  PHASE_TRY_VOID(reader.finish());
  return message;
}

Bytes encode_fork(Role role) {
  return {static_cast<std::uint8_t>(role)};
}

Result<Role> decode_fork(ByteView bytes) {
  if (bytes.size() != 1 || bytes[0] < static_cast<std::uint8_t>(Role::compile) ||
      bytes[0] > static_cast<std::uint8_t>(Role::accelerate)) {
    return fail(Code::malformed, "a request to a zygote is not understood");
  }
  return static_cast<Role>(bytes[0]);
}

}  // namespace phase::sandbox::control
