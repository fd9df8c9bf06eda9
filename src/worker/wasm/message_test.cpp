#include "worker/wasm/message.h"

#include <gtest/gtest.h>

#include "worker/wasm/about.h"
#include "worker/wasm/module_form.h"

namespace phase::worker {
namespace {

template <typename T>
T from_child(const Bytes& bytes) {
  return std::get<T>(decode_from_child(bytes).value());
}

TEST(WorkerMessage, RoundTripsFromTheParent) {
  job::WasmJob job;
  job.module = job::reference(as_bytes("module"));
  job.args = {"a", "b"};
  job.env = {{"k", "v"}};
  const auto start = decode_from_parent(encode_start(77, job));
  ASSERT_TRUE(start) << start.error().text();
  EXPECT_EQ(std::get<Start>(*start).compiled_bytes, 77U);
  EXPECT_EQ(std::get<Start>(*start).job, job);
  Bytes piece{kStdinPieceTag, 'x'};
  EXPECT_EQ(as_text(std::get<StdinPiece>(*decode_from_parent(piece)).data), "x");
  EXPECT_TRUE(std::holds_alternative<StdinEnd>(*decode_from_parent(encode_stdin_end())));
  const auto compile =
      std::get<Compile>(*decode_from_parent(encode(Compile{1, 2, 3, 4, job::Profile::det_1})));
  EXPECT_EQ(compile.module_bytes, 1U);
  EXPECT_EQ(compile.compiled_bytes_max, 2U);
  EXPECT_EQ(compile.memory_bytes_max, 3U);
  EXPECT_EQ(compile.threads, 4U);
  EXPECT_EQ(compile.profile, job::Profile::det_1);
}

TEST(WorkerMessage, RoundTripsFromTheChild) {
  const RunReport report{End::trap_unreachable, 3, 1ULL << 40, 65536, 99};
  EXPECT_EQ(from_child<RunReport>(encode(report)), report);
  EXPECT_EQ(from_child<CompiledEnd>(encode(CompiledEnd{5})).bytes, 5U);
  const auto refused =
      from_child<Refused>(encode(Refused{RefusalReason::import_undefined, "a\nb"}));
  EXPECT_EQ(refused.reason, RefusalReason::import_undefined);
  EXPECT_EQ(refused.detail, "a?b");
  const auto head = output_head(job::OutputStream::err);
  const Bytes output{head[0], head[1], 'y'};
  EXPECT_EQ(from_child<Output>(output).stream, job::OutputStream::err);
}

// What a child under a stranger's control may send: refused unless it has exactly one of the forms.
TEST(WorkerMessage, RefusesTheRest) {
  const Bytes report = encode(RunReport{});
  const std::vector<Bytes> table = {
      {},
      {0},
      {255},
      {16},          // output without a stream
      {16, 1},       // … without data
      {16, 3, 'x'},  // … of a stream there is not
      {17},
      Bytes(report.begin(), report.end() - 1),
      {18},
      {19, 1},
      {20},
      {20, 9},
      Bytes(2 + kRefusalBytesMax, 20),
  };
  for (const Bytes& bytes : table) {
    EXPECT_FALSE(decode_from_child(bytes)) << to_hex(bytes);
    EXPECT_FALSE(decode_from_parent(bytes)) << to_hex(bytes);
  }
  Bytes unknown_end = report;
  unknown_end[1] = 9;
  EXPECT_FALSE(decode_from_child(unknown_end));
}

TEST(WorkerMessage, EveryEndHasWords) {
  for (int value = 0; value < 256; value++) {
    const auto completion = completion_of({static_cast<End>(value), 4, 0, 0, 0});
    const bool exited = value == 0;
    EXPECT_EQ(completion.kind == receipt::CompletionKind::exited, exited);
    EXPECT_EQ(completion.reason.empty(), exited);
    EXPECT_EQ(completion.exit_code, exited ? 4 : 0);
  }
}

TEST(ModuleForm, ReadsMemoryAndTable) {
  const Bytes magic = {0, 0x61, 0x73, 0x6d, 1, 0, 0, 0};
  Bytes module = magic;
  module.insert(module.end(), {4, 5, 1, 0x70, 1, 10, 20});  // table 10 20 funcref
  module.insert(module.end(), {5, 4, 1, 0, 0x80, 0x20});    // memory 4096
  const auto form = decode_form(module);
  ASSERT_TRUE(form);
  EXPECT_EQ(form->memories, 1U);
  EXPECT_EQ(form->memory_bytes_min, 4096U * 65536);
  EXPECT_EQ(form->tables, 1U);
  EXPECT_EQ(form->table_elements_min, 10U);
  EXPECT_TRUE(decode_form(magic));
  for (std::size_t cut = 1; cut < module.size(); cut++) {
    if (cut == magic.size() || cut == magic.size() + 7) continue;  // between sections
    EXPECT_FALSE(decode_form(ByteView(module).first(cut))) << cut;
  }
}

TEST(About, RoundTrips) {
  const About about{"wasmtime-48", sha256(as_bytes("x"))};
  const auto read = decode_about(encode(about));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->runtime, about.runtime);
  EXPECT_EQ(read->fingerprint, about.fingerprint);
  EXPECT_FALSE(decode_about({}));
}

}  // namespace
}  // namespace phase::worker
