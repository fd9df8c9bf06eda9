// trust.h — whose certificates a client believes (RFC 5280), for TLS 1.2 or newer.
//
// Revocation is not asked for. Not changed once made: several executors may share one.
#pragma once

#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace boost::asio::ssl {
class context;
}

namespace phase::http_client {

/// A file of certificates.
inline constexpr std::size_t kTrustBytesMax = 4_MiB;

class Trust {
 public:
  /// The authorities this system has (OpenSSL's default places; SSL_CERT_FILE and SSL_CERT_DIR
  /// change them). None there: nobody is believed. Errors: Code::internal.
  [[nodiscard]] static Result<std::shared_ptr<const Trust>> system();
  /// The certificates in a PEM file, and no others: authorities, or a server's own. Errors:
  /// Code::invalid_argument (no certificate in it), and those of read_file.
  [[nodiscard]] static Result<std::shared_ptr<const Trust>> of_file(
      const std::filesystem::path& path);
  ~Trust();
  Trust(const Trust&) = delete;
  Trust& operator=(const Trust&) = delete;

  /// For whoever connects with it.
  [[nodiscard]] boost::asio::ssl::context& context() const noexcept;

 private:
  Trust();
  [[nodiscard]] static Result<std::shared_ptr<Trust>> none();
  std::unique_ptr<boost::asio::ssl::context> context_;
};

}  // namespace phase::http_client
