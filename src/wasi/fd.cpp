// The three streams.
#include <algorithm>
#include <cstring>

#include "wasi/functions_internal.h"

namespace phase::wasi {
namespace {

using Kind = Guest::Descriptor::Kind;

// A guest's array of (pointer, length) pairs, checked as a whole before anything is done.
struct Vectors {
  std::array<std::span<std::uint8_t>, kVectorsMax> parts;
  std::size_t count = 0;
  std::uint64_t bytes = 0;
};

Errno load_vectors(Memory memory, std::uint32_t at, std::uint32_t count, Vectors& out) {
  if (count > kVectorsMax) return Errno::inval;
  const auto table = memory.slice(at, count * 8);
  if (!table) return Errno::fault;
  for (std::uint32_t i = 0; i < count; i++) {
    std::uint32_t pair[2];
    std::memcpy(pair, table->data() + i * 8, sizeof pair);
    const auto part = memory.slice(pair[0], pair[1]);
    if (!part) return Errno::fault;
    if (part->empty()) continue;
    out.parts[out.count++] = *part;
    out.bytes += part->size();
  }
  return out.bytes > UINT32_MAX ? Errno::inval : Errno::success;
}

// Fills the parts in order. Waits for the first byte (unless nonblocking), and for the rest only
// when reads fill. Nothing: the run is over.
std::optional<Errno> read_parts(Guest& guest, std::uint16_t flags, const Vectors& vectors,
                                std::uint32_t& got) {
  World& world = guest.world();
  for (std::size_t i = 0; i < vectors.count; i++) {
    std::span<std::uint8_t> part = vectors.parts[i];
    while (!part.empty()) {
      if (!guest.config().fill_reads && (got > 0 || (flags & kFlagNonblock) != 0)) {
        const auto ready = world.wait(true, 0);
        if (!ready) return std::nullopt;
        if (!*ready) return got > 0 ? Errno::success : Errno::again;
      }
      const auto count = world.read_stdin(part);
      if (!count) return std::nullopt;
      if (*count == 0) return Errno::success;
      got += u32(*count);
      part = part.subspan(*count);
    }
  }
  return Errno::success;
}

}  // namespace

Call fd_read(Guest& guest, Memory memory, const std::uint64_t* a) {
  const Guest::Descriptor* descriptor = guest.descriptor(u32(a[0]));
  if (descriptor == nullptr) return answer(Errno::badf);
  if (descriptor->kind != Kind::in) return answer(Errno::badf);
  if ((descriptor->rights & kRightFdRead) == 0) return answer(Errno::notcapable);
  Vectors vectors;
  if (const Errno error = load_vectors(memory, u32(a[1]), u32(a[2]), vectors);
      error != Errno::success) {
    return answer(error);
  }
  // Checked before reading: bytes read and then not reported would be lost to the guest.
  if (!memory.slice(u32(a[3]), 4)) return answer(Errno::fault);
  std::uint32_t got = 0;
  const auto error = read_parts(guest, descriptor->flags, vectors, got);
  if (!error) return {Call::Kind::stopped, 0};
  if (*error != Errno::success) return answer(*error);
  return answer(memory.store_u32(u32(a[3]), got));
}

Call fd_write(Guest& guest, Memory memory, const std::uint64_t* a) {
  const Guest::Descriptor* descriptor = guest.descriptor(u32(a[0]));
  if (descriptor == nullptr) return answer(Errno::badf);
  if (descriptor->kind != Kind::out && descriptor->kind != Kind::err) return answer(Errno::badf);
  if ((descriptor->rights & kRightFdWrite) == 0) return answer(Errno::notcapable);
  Vectors vectors;
  if (const Errno error = load_vectors(memory, u32(a[1]), u32(a[2]), vectors);
      error != Errno::success) {
    return answer(error);
  }
  if (!memory.slice(u32(a[3]), 4)) return answer(Errno::fault);
  const Stream stream = descriptor->kind == Kind::out ? Stream::out : Stream::err;
  for (std::size_t i = 0; i < vectors.count; i++) {
    if (!guest.world().write(stream, vectors.parts[i])) return {Call::Kind::stopped, 0};
  }
  return answer(memory.store_u32(u32(a[3]), u32(vectors.bytes)));
}

Call fd_close(Guest& guest, Memory /*memory*/, const std::uint64_t* a) {
  Guest::Descriptor* descriptor = guest.descriptor(u32(a[0]));
  if (descriptor == nullptr) return answer(Errno::badf);
  *descriptor = {};
  return answer(Errno::success);
}

Call fd_renumber(Guest& guest, Memory /*memory*/, const std::uint64_t* a) {
  Guest::Descriptor* from = guest.descriptor(u32(a[0]));
  Guest::Descriptor* to = guest.descriptor(u32(a[1]));
  if (from == nullptr || to == nullptr) return answer(Errno::badf);
  if (from != to) {
    *to = *from;
    *from = {};
  }
  return answer(Errno::success);
}

Call fd_fdstat_get(Guest& guest, Memory memory, const std::uint64_t* a) {
  const Guest::Descriptor* descriptor = guest.descriptor(u32(a[0]));
  if (descriptor == nullptr) return answer(Errno::badf);
  const auto out = memory.slice(u32(a[1]), 24);
  if (!out) return answer(Errno::fault);
  std::fill(out->begin(), out->end(), std::uint8_t{0});
  (*out)[0] = kFiletypeUnknown;
  std::memcpy(out->data() + 2, &descriptor->flags, sizeof descriptor->flags);
  std::memcpy(out->data() + 8, &descriptor->rights, sizeof descriptor->rights);
  return answer(Errno::success);
}

Call fd_fdstat_set_flags(Guest& guest, Memory /*memory*/, const std::uint64_t* a) {
  Guest::Descriptor* descriptor = guest.descriptor(u32(a[0]));
  if (descriptor == nullptr) return answer(Errno::badf);
  const auto flags = static_cast<std::uint16_t>(a[1]);
  // Appending and syncing mean nothing to a stream and are refused rather than ignored.
  if ((flags & ~kFlagNonblock) != 0) return answer(Errno::notsup);
  descriptor->flags = flags;
  return answer(Errno::success);
}

Call fd_fdstat_set_rights(Guest& guest, Memory /*memory*/, const std::uint64_t* a) {
  Guest::Descriptor* descriptor = guest.descriptor(u32(a[0]));
  if (descriptor == nullptr) return answer(Errno::badf);
  // Rights only ever shrink, and none of ours are inherited.
  if ((a[1] & ~descriptor->rights) != 0 || a[2] != 0) return answer(Errno::notcapable);
  descriptor->rights = a[1];
  return answer(Errno::success);
}

Call fd_filestat_get(Guest& guest, Memory memory, const std::uint64_t* a) {
  if (guest.descriptor(u32(a[0])) == nullptr) return answer(Errno::badf);
  const auto out = memory.slice(u32(a[1]), 64);
  if (!out) return answer(Errno::fault);
  std::fill(out->begin(), out->end(), std::uint8_t{0});
  (*out)[16] = kFiletypeUnknown;
  return answer(Errno::success);
}

}  // namespace phase::wasi
