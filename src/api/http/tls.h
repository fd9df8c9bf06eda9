// tls.h — the certificate and key of a server that speaks TLS (1.2 or newer, RFC 8446, RFC 5246).
//
// Belongs to the server's executor. What handshakes use is replaced as a whole by `reload`;
// connections that stand keep what they began with.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace boost::asio::ssl {
class context;
}

namespace phase::http {

/// A certificate with its chain, or a key.
inline constexpr std::size_t kPemBytesMax = 1_MiB;
/// Names taken from one certificate.
inline constexpr std::size_t kCertificateNamesMax = 256;

class Tls {
 public:
  struct Files {
    std::filesystem::path certificate;  ///< PEM: the server's own first, then its chain
    std::filesystem::path key;          ///< PEM, not encrypted, not readable by everybody
  };
  /// Errors: Code::not_found, io, permission_denied (a key that everybody may read, hint: chmod),
  /// too_large, invalid_argument (no PEM, encrypted, key of another certificate, expired).
  [[nodiscard]] static Result<std::shared_ptr<Tls>> load(Files files);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  /// Reads the files again. On an error what was there stays.
  [[nodiscard]] Result<void> reload();
  /// DNS names and addresses the certificate is for; those of a Host header that may be trusted.
  [[nodiscard]] const std::vector<std::string>& names() const noexcept;
  /// "Nov 20 12:00:00 2026 GMT"
  [[nodiscard]] const std::string& expires() const noexcept;
  /// For whoever accepts connections with it; as long as the next `reload`, unless held.
  [[nodiscard]] boost::asio::ssl::context& context() noexcept;

 private:
  struct Loaded;
  explicit Tls(Files files);
  [[nodiscard]] static Result<std::unique_ptr<Loaded>> read(const Files& files);
  Files files_;
  std::unique_ptr<Loaded> loaded_;
};

}  // namespace phase::http
