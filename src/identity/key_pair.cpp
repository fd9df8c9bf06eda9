#include "base/check.h"
#include "identity/key_internal.h"

namespace phase::identity {

static_assert(crypto_sign_SEEDBYTES == 32);
static_assert(crypto_sign_PUBLICKEYBYTES == 32);
static_assert(crypto_sign_BYTES == std::tuple_size_v<Signature>);

void prepare_sodium() noexcept {
  static const int ready = sodium_init();
  PHASE_CHECK(ready >= 0);
}

KeyPair::KeyPair(KeyPair&&) noexcept = default;
KeyPair& KeyPair::operator=(KeyPair&&) noexcept = default;
KeyPair::~KeyPair() = default;

KeyPair KeyPair::generate(Random& random) {
  std::array<std::uint8_t, crypto_sign_SEEDBYTES> seed{};
  random.fill(seed);
  Result<KeyPair> key = from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  PHASE_CHECK(key.has_value());
  return *std::move(key);
}

Result<KeyPair> KeyPair::from_seed(ByteView seed) {
  if (seed.size() != crypto_sign_SEEDBYTES) {
    return fail(Code::malformed,
                "an Ed25519 seed has 32 bytes, not " + std::to_string(seed.size()));
  }
  prepare_sodium();
  KeyPair key;
  key.secret_ = std::make_unique<Secret>();
  crypto_sign_seed_keypair(key.public_.value.data(), key.secret_->bytes, seed.data());
  return key;
}

ByteView KeyPair::seed() const noexcept {
  PHASE_CHECK(secret_ != nullptr);
  return {secret_->bytes, crypto_sign_SEEDBYTES};
}

}  // namespace phase::identity
