// Goal: what is accepted as receipt, checkpoint or commit has one spelling; an altered one is
// refused. Method: any bytes as envelope and as payload. An accepted payload is written again: the
// same bytes, or fewer where claims that nobody knows were ignored. It is signed, one bit is
// turned, and it must not open.
#include <cstdlib>

#include "protocol/receipt/completion.h"
#include "protocol/receipt/receipt.h"

namespace {

using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target

void check_statements(ByteView bytes) {
  const auto receipt = receipt::open(bytes);
  const auto checkpoint = receipt::open_checkpoint(bytes);
  const auto commit = receipt::open_commit(bytes);
  if (receipt.has_value() + checkpoint.has_value() + commit.has_value() > 1) std::abort();
  if (receipt && receipt->envelope != to_bytes(bytes)) std::abort();
  CborReader reader(bytes);
  const auto completion = receipt::read_completion(reader);
  if (!completion) return;
  CborWriter writer;
  receipt::write_completion(writer, *completion);
  if (writer.view() != to_bytes(bytes.first(reader.offset()))) std::abort();
}

void check_flip(const receipt::Receipt& value, std::size_t choice) {
  static const identity::KeyPair key = identity::KeyPair::from_seed(Bytes(32, 5)).value();
  Bytes envelope = receipt::sign(value, key).envelope;
  if (envelope.size() > identity::kEnvelopeBytesMax) return;
  if (receipt::open(envelope).value().receipt != value) std::abort();
  const std::size_t bit = choice % (envelope.size() * 8);
  envelope[bit / 8] = static_cast<std::uint8_t>(envelope[bit / 8] ^ (1U << (bit % 8)));
  if (receipt::open(envelope)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  check_statements(bytes);
  const auto value = receipt::decode_payload(bytes);
  if (!value) return 0;
  const Bytes again = receipt::encode_payload(*value);
  if (again.size() >= size && again != to_bytes(bytes)) std::abort();
  if (receipt::decode_payload(again).value() != *value) std::abort();
  check_flip(*value, static_cast<std::size_t>(again.back()) * 8191 + again.size() * 31);
  return 0;
}
