// Goal: our CBOR is everybody's CBOR.
// Method: libcbor, an independent implementation, loads what our reader accepts and writes it
// again: the same bytes must come out. What our writer writes, libcbor must load.
#include <memory>

#include <cbor.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/cbor.h"
#include "protocol/job/job.h"
#include "tests/fuzz/arbitrary_documents.h"

namespace phase {
namespace {

struct FreeItem {
  void operator()(cbor_item_t* item) const { cbor_decref(&item); }
};
struct FreeBytes {
  void operator()(unsigned char* bytes) const { std::free(bytes); }  // NOLINT: from libcbor
};

/// What libcbor makes of the bytes: loaded whole and written again, or nothing.
std::optional<Bytes> through_libcbor(ByteView bytes) {
  cbor_load_result result{};
  const std::unique_ptr<cbor_item_t, FreeItem> item(cbor_load(bytes.data(), bytes.size(), &result));
  if (item == nullptr || result.read != bytes.size()) return std::nullopt;
  unsigned char* buffer = nullptr;
  std::size_t room = 0;
  const std::size_t written = cbor_serialize_alloc(item.get(), &buffer, &room);
  const std::unique_ptr<unsigned char, FreeBytes> owned(buffer);
  if (written == 0) return std::nullopt;
  return to_bytes(ByteView(buffer, written));
}

/// A random item of our subset. Maps get ascending keys.
void write_item(CborWriter& out, int depth) {
  const auto kind = arbitrary::number(0, depth > 0 ? 7 : 5);
  switch (kind) {
    case 0:
      out.uint(arbitrary::number());
      return;
    case 1:
      out.integer(*rc::gen::arbitrary<std::int64_t>());
      return;
    case 2:
      out.bytes(arbitrary::bytes(0, 30));
      return;
    case 3:
      out.text(arbitrary::text(0, 10));
      return;
    case 4:
      out.boolean(arbitrary::coin());
      return;
    case 5:
      out.null();
      return;
    case 6: {
      const auto count = arbitrary::number(0, 5);
      out.array(count);
      for (std::uint64_t i = 0; i < count; ++i) write_item(out, depth - 1);
      return;
    }
    default: {
      const auto count = arbitrary::number(0, 5);
      out.map(count);
      for (std::uint64_t i = 0; i < count; ++i) {
        out.uint(i * 100);
        write_item(out, depth - 1);
      }
    }
  }
}

RC_GTEST_PROP(CborOracle, LoadsWhatWeWrite, ()) {
  CborWriter out;
  write_item(out, 4);
  RC_ASSERT(cbor_check(out.view()).has_value());
  RC_ASSERT(through_libcbor(out.view()) == out.view());
}

RC_GTEST_PROP(CborOracle, AgreesOnJobs, ()) {
  const Bytes bytes = job::encode(arbitrary::job());
  RC_ASSERT(through_libcbor(bytes) == bytes);
}

RC_GTEST_PROP(CborOracle, WhatOurReaderAcceptsOfChangedBytesLoadsToTheSame, ()) {
  CborWriter out;
  write_item(out, 3);
  Bytes bytes = out.take();
  const auto at = static_cast<std::size_t>(arbitrary::number(0, bytes.size() - 1));
  bytes[at] = *rc::gen::arbitrary<std::uint8_t>();
  if (cbor_check(bytes)) RC_ASSERT(through_libcbor(bytes) == bytes);
}

// All inputs of up to two bytes, and every third byte behind the heads that take one: whatever our
// reader accepts, libcbor reads the same way.
TEST(CborOracle, EveryShortInputThatWeAcceptIsReadTheSame) {
  std::size_t accepted = 0;
  const auto look = [&accepted](const Bytes& bytes) {
    if (!cbor_check(bytes)) return;
    ++accepted;
    EXPECT_EQ(through_libcbor(bytes), bytes) << to_hex(bytes);
  };
  for (int a = 0; a < 256; ++a) {
    look({static_cast<std::uint8_t>(a)});
    for (int b = 0; b < 256; ++b) {
      look({static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b)});
      if (b % 8 != 0) continue;
      for (int c = 0; c < 256; ++c) {
        look({static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b),
              static_cast<std::uint8_t>(c)});
      }
    }
  }
  EXPECT_GT(accepted, 1000U);
}

}  // namespace
}  // namespace phase
