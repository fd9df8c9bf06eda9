// key_internal.h — what a KeyPair keeps secret. For identity's own sources only.
#pragma once

#include <cstdint>
#include <new>

#include <sodium.h>

#include "identity/identity.h"

namespace phase::identity {

/// libsodium's secret key: seed ‖ public key. Alone on guarded pages, kept out of swap and core
/// dumps where the system allows it, and wiped at the end.
struct KeyPair::Secret {
  static constexpr std::size_t kBytes = crypto_sign_SECRETKEYBYTES;
  std::uint8_t* const bytes;  // owned; kBytes of them

  Secret() : bytes(static_cast<std::uint8_t*>(sodium_malloc(kBytes))) {
    if (bytes == nullptr) throw std::bad_alloc();
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { sodium_free(bytes); }  // wipes too
};

/// Chooses libsodium's implementations for this machine, once.
void prepare_sodium() noexcept;

}  // namespace phase::identity
