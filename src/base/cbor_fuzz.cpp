// Goal: what the reader accepts has one spelling.
// Method: accept any bytes; rebuild the item from what was read; require the same bytes.
#include <cstdlib>

#include "base/cbor.h"

namespace {

using phase::CborReader;
using phase::CborType;
using phase::CborWriter;

/// Copies one item that cbor_check accepted. Depth is bounded by that check.
void copy_item(CborReader& in, CborWriter& out) {
  switch (in.peek()) {
    case CborType::uint:
      out.uint(in.uint().value());
      return;
    case CborType::negative:
      out.integer(in.integer().value());
      return;
    case CborType::bytes:
      out.bytes(in.bytes().value());
      return;
    case CborType::text:
      out.text(in.text().value());
      return;
    case CborType::boolean:
      out.boolean(in.boolean().value());
      return;
    case CborType::null:
      if (!in.null()) std::abort();
      out.null();
      return;
    case CborType::array: {
      const auto count = in.array().value();
      out.array(count);
      for (std::uint64_t i = 0; i < count; ++i) copy_item(in, out);
      return;
    }
    case CborType::map: {
      const auto pairs = in.map().value();
      out.map(pairs);
      for (std::uint64_t i = 0; i < 2 * pairs; ++i) copy_item(in, out);
      return;
    }
    default:
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const phase::ByteView bytes(data, size);
  if (!phase::cbor_check(bytes)) return 0;
  CborReader reader(bytes);
  CborWriter writer;
  copy_item(reader, writer);
  if (!reader.finish() || writer.view() != phase::to_bytes(bytes)) std::abort();
  return 0;
}
