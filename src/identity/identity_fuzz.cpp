// Goal: an envelope that opens is the one its signer made, and no bytes break the readers.
// Method: open any bytes under every domain; what opens must be the only form of its parts; the
// bytes as payload must survive sealing, and one turned bit must not.
#include <cstdlib>

#include "identity/identity.h"

namespace {

using namespace phase::identity;  // NOLINT(google-build-using-namespace): a fuzz target

void check_form(Domain domain, phase::ByteView bytes) {
  const auto opened = open(domain, bytes);
  const auto form = read_unverified(domain, bytes);
  if (form.has_value() != signed_hash(domain, bytes).has_value()) std::abort();
  if (!opened) return;
  if (!form || form->payload != opened->payload || form->signer != opened->signer) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const KeyPair key = KeyPair::from_seed(phase::Bytes(32, 5)).value();
  const phase::ByteView bytes(data, size);
  for (int domain = 0; domain <= 4; ++domain) check_form(static_cast<Domain>(domain), bytes);
  const auto id = PeerId::parse(phase::as_text(bytes));
  if (id && id->text() != phase::as_text(bytes)) std::abort();
  if (size == 0 || size > 4096) return 0;
  phase::Bytes sealed = seal(Domain::receipt, bytes, key);
  if (open(Domain::receipt, sealed).value().payload != phase::to_bytes(bytes)) std::abort();
  const std::size_t bit = (static_cast<std::size_t>(data[0]) * 257 + size) % (sealed.size() * 8);
  sealed[bit / 8] = static_cast<std::uint8_t>(sealed[bit / 8] ^ (1U << (bit % 8)));
  if (open(Domain::receipt, sealed)) std::abort();
  return 0;
}
