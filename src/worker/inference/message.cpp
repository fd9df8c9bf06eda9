#include "worker/inference/message.h"

#include <algorithm>
#include <array>

#include "base/cbor.h"

namespace phase::worker::inference {
namespace {

// First bytes of packets from the parent; words have their own values in between.
constexpr std::uint8_t kLoadTag = 1, kBeginTag = 2, kPromptTag = 6;
// First bytes of records from the child: tag, id (4), length of the rest (4).
constexpr std::uint8_t kOutTag = 16, kErrTag = 17, kMovedTag = 18, kEndedTag = 19, kLoadingTag = 20,
                       kInfoTag = 21, kLoadedTag = 22, kRefusedTag = 23;
constexpr std::size_t kRecordHead = 9;
static_assert(kRecordHead <= kRecordHeadMax);
constexpr std::uint64_t kStopMax = 16;

struct Words {
  End end;
  receipt::CompletionKind kind;
  std::string_view reason;
};
using Kind = receipt::CompletionKind;
constexpr std::array kWords = {
    Words{End::exited, Kind::exited, ""},
    Words{End::tokens, Kind::limited, "tokens"},
    Words{End::context, Kind::limited, "context"},
    Words{End::cancelled, Kind::cancelled, ""},
    Words{End::prompt_malformed, Kind::invalid, "prompt_malformed"},
    Words{End::prompt_too_long, Kind::invalid, "prompt_too_long"},
    Words{End::suffix_unsupported, Kind::invalid, "suffix_unsupported"},
    Words{End::template_malformed, Kind::invalid, "template_malformed"},
    Words{End::grammar_malformed, Kind::invalid, "grammar_malformed"},
    Words{End::model_unfit, Kind::invalid, "model_unfit"},
    Words{End::memory, Kind::limited, "memory"},
    Words{End::engine_failed, Kind::failed, "worker_lost"},
};
constexpr std::array<std::string_view, 4> kStages = {"load", "prompt", "eval", "cached"};

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::malformed, "an inference message is malformed: " + std::string(what));
}

void put_u32(Bytes& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

// The caller has checked the length.
std::uint32_t u32_at(ByteView from, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; i++) value |= std::uint32_t{from[at + i]} << (8 * i);
  return value;
}

// --- values both directions carry

constexpr std::array kSamplingFields{&job::Sampling::temperature_ppm,
                                     &job::Sampling::top_p_ppm,
                                     &job::Sampling::min_p_ppm,
                                     &job::Sampling::typical_p_ppm,
                                     &job::Sampling::repeat_penalty_ppm,
                                     &job::Sampling::presence_penalty_ppm,
                                     &job::Sampling::frequency_penalty_ppm,
                                     &job::Sampling::top_k,
                                     &job::Sampling::repeat_last_n};

void write_options(CborWriter& out, const EngineOptions& options) {
  out.array(7).uint(options.context_tokens).uint(options.sequences).uint(options.batch_tokens);
  out.uint(options.threads).integer(options.gpu_layers).uint(options.memory_bytes_max);
  out.uint(options.request_cpu_seconds);
}

Result<std::uint32_t> read_u32(CborReader& in) {
  PHASE_TRY(const std::uint64_t value, in.uint());
  if (value > UINT32_MAX) return malformed("a number is out of range");
  return static_cast<std::uint32_t>(value);
}

Result<EngineOptions> read_options(CborReader& in) {
  EngineOptions options;
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count != 7) return malformed("options");
  PHASE_TRY(options.context_tokens, read_u32(in));
  PHASE_TRY(options.sequences, read_u32(in));
  PHASE_TRY(options.batch_tokens, read_u32(in));
  PHASE_TRY(options.threads, read_u32(in));
  PHASE_TRY(const std::int64_t layers, in.integer());
  if (layers < INT32_MIN || layers > INT32_MAX) return malformed("layers");
  options.gpu_layers = static_cast<std::int32_t>(layers);
  PHASE_TRY(options.memory_bytes_max, in.uint());
  PHASE_TRY(options.request_cpu_seconds, read_u32(in));
  return options;
}

// --- from the parent

Result<FromParent> decode_load(ByteView body) {
  CborReader in(body);
  Load load;
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count != 3) return malformed("load");
  PHASE_TRY(load.model_bytes, in.uint());
  PHASE_TRY(load.inspect, in.boolean());
  PHASE_TRY(load.options, read_options(in));
  PHASE_TRY_VOID(in.finish());
  return load;
}

Result<void> read_sampling(CborReader& in, job::Sampling& sampling) {
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count != 1 + kSamplingFields.size()) return malformed("sampling");
  PHASE_TRY(sampling.seed, in.uint());
  for (const auto field : kSamplingFields) {
    if (in.peek() == CborType::null) {
      PHASE_TRY_VOID(in.null());
    } else {
      PHASE_TRY(sampling.*field, in.integer());
    }
  }
  return {};
}

Result<FromParent> decode_begin(ByteView body) {
  CborReader in(body);
  Begin begin;
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count != 8) return malformed("begin");
  PHASE_TRY(begin.id, read_u32(in));
  PHASE_TRY(const std::uint64_t kind, in.uint());
  if (kind > UINT8_MAX) return malformed("prompt kind");
  begin.job.prompt_kind = static_cast<job::PromptKind>(kind);
  PHASE_TRY_VOID(read_sampling(in, begin.job.sampling));
  PHASE_TRY(begin.job.tokens_max, in.uint());
  PHASE_TRY(begin.job.context_tokens, in.uint());
  PHASE_TRY(const std::uint64_t stops, in.array());
  if (stops > kStopMax) return malformed("stop strings");
  for (std::uint64_t i = 0; i < stops; i++) {
    PHASE_TRY(const ByteView text, in.bytes());
    begin.job.stop.emplace_back(as_text(text));
  }
  PHASE_TRY(const ByteView caller, in.bytes());
  if (caller.size() > kCallerBytesMax) return malformed("caller");
  begin.caller = as_text(caller);
  PHASE_TRY(begin.prompt_bytes, in.uint());
  if (begin.prompt_bytes > job::kPromptBytesMax) return malformed("prompt length");
  PHASE_TRY_VOID(in.finish());
  return begin;
}

// --- from the child

Result<FromChild> decode_moved(std::uint32_t id, ByteView body) {
  CborReader in(body);
  Moved moved;
  moved.id = id;
  PHASE_TRY(const std::uint64_t count, in.array());
  PHASE_TRY(const std::uint64_t stage, in.uint());
  if (count != 3 || stage >= kStages.size()) return malformed("progress");
  moved.stage = static_cast<Stage>(stage);
  PHASE_TRY(moved.done, in.uint());
  PHASE_TRY(moved.total, in.uint());
  PHASE_TRY_VOID(in.finish());
  return moved;
}

Result<FromChild> decode_ended(std::uint32_t id, ByteView body) {
  CborReader in(body);
  Ended ended;
  ended.id = id;
  PHASE_TRY(const std::uint64_t count, in.array());
  PHASE_TRY(const std::uint64_t end, in.uint());
  if (count != 3 || end >= kWords.size()) return malformed("end");
  ended.end = static_cast<End>(end);
  PHASE_TRY(ended.cpu_us, in.uint());
  PHASE_TRY(const ByteView message, in.bytes());
  ended.message = printable(as_text(message), kSayingBytesMax);
  PHASE_TRY_VOID(in.finish());
  return ended;
}

Result<FromChild> decode_loaded(ByteView body) {
  CborReader in(body);
  Loaded loaded;
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count != 4) return malformed("loaded");
  PHASE_TRY(loaded.memory_bytes, in.uint());
  PHASE_TRY(loaded.gpu_bytes, in.uint());
  PHASE_TRY(loaded.load_ns, in.uint());
  PHASE_TRY(loaded.options, read_options(in));
  PHASE_TRY_VOID(in.finish());
  return loaded;
}

Result<FromChild> decode_record(std::uint8_t tag, std::uint32_t id, ByteView body) {
  switch (tag) {
    case kOutTag:
    case kErrTag:
      if (body.empty() || body.size() > kRecordDataMax) return malformed("output");
      return Output{id, tag == kOutTag ? job::OutputStream::out : job::OutputStream::err, body};
    case kMovedTag:
      return decode_moved(id, body);
    case kEndedTag:
      return decode_ended(id, body);
    case kLoadingTag:
      if (!body.empty() || id > 1'000'000) return malformed("loading");
      return Loading{id};
    case kInfoTag:
      if (id != 0 || body.empty() || body.size() > kRecordDataMax) return malformed("information");
      return InfoPiece{body};
    case kLoadedTag:
      if (id != 0) return malformed("loaded");
      return decode_loaded(body);
    case kRefusedTag:
      if (id > static_cast<std::uint32_t>(Refusal::unsupported)) return malformed("refusal");
      return Refused{static_cast<Refusal>(id), printable(as_text(body), kSayingBytesMax)};
    default:
      return malformed("unknown kind");
  }
}

void put_record(Bytes& packet, std::uint8_t tag, std::uint32_t id, ByteView body) {
  packet.push_back(tag);
  put_u32(packet, id);
  put_u32(packet, static_cast<std::uint32_t>(body.size()));
  packet.insert(packet.end(), body.begin(), body.end());
}

ByteView cut(ByteView data) {
  return data.first(std::min(data.size(), kRecordDataMax));
}

struct Append {
  Bytes& packet;

  void operator()(const Output& output) const {
    put_record(packet, output.stream == job::OutputStream::out ? kOutTag : kErrTag, output.id,
               cut(output.data));
  }
  void operator()(const Moved& moved) const {
    CborWriter out;
    out.array(3).uint(static_cast<std::uint64_t>(moved.stage)).uint(moved.done).uint(moved.total);
    put_record(packet, kMovedTag, moved.id, out.view());
  }
  void operator()(const Ended& ended) const {
    CborWriter out;
    out.array(3).uint(static_cast<std::uint64_t>(ended.end)).uint(ended.cpu_us);
    out.bytes(as_bytes(printable(ended.message, kSayingBytesMax)));
    put_record(packet, kEndedTag, ended.id, out.view());
  }
  void operator()(const Loading& loading) const {
    put_record(packet, kLoadingTag, std::min(loading.ppm, 1'000'000U), {});
  }
  void operator()(const InfoPiece& piece) const {
    put_record(packet, kInfoTag, 0, cut(piece.data));
  }
  void operator()(const Loaded& loaded) const {
    CborWriter out;
    out.array(4).uint(loaded.memory_bytes).uint(loaded.gpu_bytes).uint(loaded.load_ns);
    write_options(out, loaded.options);
    put_record(packet, kLoadedTag, 0, out.view());
  }
  void operator()(const Refused& refused) const {
    put_record(packet, kRefusedTag, static_cast<std::uint32_t>(refused.refusal),
               as_bytes(printable(refused.message, kSayingBytesMax)));
  }
};

}  // namespace

receipt::Completion completion_of(End end) {
  const auto words = std::ranges::find(kWords, end, &Words::end);
  if (words == kWords.end()) return {Kind::failed, 0, "worker_lost"};
  return {words->kind, 0, std::string(words->reason)};
}

std::string_view stage_name(Stage stage) noexcept {
  const auto at = static_cast<std::size_t>(stage);
  return at < kStages.size() ? kStages[at] : std::string_view{};
}

Bytes encode(const Load& load) {
  CborWriter out;
  out.array(3).uint(load.model_bytes).boolean(load.inspect);
  write_options(out, load.options);
  Bytes packet{kLoadTag};
  packet.insert(packet.end(), out.view().begin(), out.view().end());
  return packet;
}

Result<Bytes> encode(const Begin& begin) {
  std::size_t stop_bytes = 0;
  for (const std::string& text : begin.job.stop) stop_bytes += text.size();
  if (begin.caller.size() > kCallerBytesMax || stop_bytes > kStopBytesMax ||
      begin.job.stop.size() > kStopMax || begin.prompt_bytes > job::kPromptBytesMax) {
    return fail(Code::too_large,
                "a request's stop strings, prompt or caller are above their limits");
  }
  CborWriter out;
  out.array(8).uint(begin.id).uint(static_cast<std::uint64_t>(begin.job.prompt_kind));
  out.array(1 + kSamplingFields.size()).uint(begin.job.sampling.seed);
  for (const auto field : kSamplingFields) {
    const auto& value = begin.job.sampling.*field;
    if (value) {
      out.integer(*value);
    } else {
      out.null();
    }
  }
  out.uint(begin.job.tokens_max).uint(begin.job.context_tokens).array(begin.job.stop.size());
  for (const std::string& text : begin.job.stop) out.bytes(as_bytes(text));
  out.bytes(as_bytes(begin.caller)).uint(begin.prompt_bytes);
  Bytes packet{kBeginTag};
  packet.insert(packet.end(), out.view().begin(), out.view().end());
  return packet;
}

Bytes prompt_head(std::uint32_t id) {
  Bytes head{kPromptTag};
  put_u32(head, id);
  return head;
}

Bytes encode(const Tell& tell) {
  Bytes packet{static_cast<std::uint8_t>(tell.word)};
  put_u32(packet, tell.id);
  return packet;
}

Result<FromParent> decode_from_parent(ByteView bytes) {
  if (bytes.empty()) return malformed("empty");
  const ByteView body = bytes.subspan(1);
  switch (bytes[0]) {
    case kLoadTag:
      return decode_load(body);
    case kBeginTag:
      return decode_begin(body);
    case kPromptTag:
      if (body.size() <= 4 || body.size() > 4 + kRecordDataMax) return malformed("prompt");
      return PromptPiece{u32_at(body, 0), body.subspan(4)};
    case static_cast<std::uint8_t>(Word::cancel):
    case static_cast<std::uint8_t>(Word::pause):
    case static_cast<std::uint8_t>(Word::resume):
      if (body.size() != 4) return malformed("word");
      return Tell{u32_at(body, 0), static_cast<Word>(bytes[0])};
    default:
      return malformed("unknown kind");
  }
}

void append(Bytes& packet, const FromChild& record) {
  std::visit(Append{packet}, record);
}

Result<std::vector<FromChild>> decode_from_child(ByteView bytes) {
  if (bytes.empty()) return malformed("empty");
  std::vector<FromChild> records;
  while (!bytes.empty()) {
    if (bytes.size() < kRecordHead) return malformed("record");
    const std::uint8_t tag = bytes[0];
    const std::uint32_t id = u32_at(bytes, 1), length = u32_at(bytes, 5);
    bytes = bytes.subspan(kRecordHead);
    if (length > bytes.size()) return malformed("record length");
    PHASE_TRY(FromChild record, decode_record(tag, id, bytes.first(length)));
    records.push_back(std::move(record));
    bytes = bytes.subspan(length);
  }
  return records;
}

}  // namespace phase::worker::inference
