#include "http_client/trust.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/files.h"

namespace phase::http_client {
namespace {

namespace ssl = boost::asio::ssl;

/// Of TLS 1.2: forward secrecy and authenticated encryption only. Those of 1.3 all have both.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
/// The protocol spoken inside (RFC 7301): length and name.
constexpr unsigned char kProtocol[] = "\x08http/1.1";
constexpr unsigned kProtocolBytes = sizeof kProtocol - 1;

}  // namespace

Trust::Trust() : context_(std::make_unique<ssl::context>(ssl::context::tls_client)) {}
Trust::~Trust() = default;

Result<std::shared_ptr<Trust>> Trust::none() {
  std::shared_ptr<Trust> out(new Trust);
  SSL_CTX* const context = out->context_->native_handle();
  ::SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  X509_VERIFY_PARAM_set_hostflags(
      ::SSL_CTX_get0_param(context),
      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      ::SSL_CTX_set_cipher_list(context, kCiphers) != 1 ||
      ::SSL_CTX_set_alpn_protos(context, kProtocol, kProtocolBytes) != 0) {
    ::ERR_clear_error();
    return fail(Code::internal, "the TLS library has not what is needed");
  }
  return out;
}

Result<std::shared_ptr<const Trust>> Trust::system() {
  PHASE_TRY(const std::shared_ptr<Trust> out, none());
  boost::system::error_code error;
  out->context_->set_default_verify_paths(error);
  if (error) return fail(Code::internal, "this system's certificates: " + error.message());
  return out;
}

Result<std::shared_ptr<const Trust>> Trust::of_file(const std::filesystem::path& path) {
  PHASE_TRY(const std::shared_ptr<Trust> out, none());
  PHASE_TRY(const std::string text, read_file(path, kTrustBytesMax));
  boost::system::error_code error;
  out->context_->add_certificate_authority(boost::asio::buffer(text), error);
  SSL_CTX* const context = out->context_->native_handle();
  const X509_STORE* const kept = ::SSL_CTX_get_cert_store(context);
  if (error || sk_X509_OBJECT_num(::X509_STORE_get0_objects(kept)) == 0) {
    ::ERR_clear_error();
    return fail(Code::invalid_argument, path.string() + " has no certificate in PEM");
  }
  // What the file names is believed itself, whoever signed it (RFC 5280 §6.1.1: trust anchor).
  ::X509_VERIFY_PARAM_set_flags(::SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  return out;
}

ssl::context& Trust::context() const noexcept {
  return *context_;
}

}  // namespace phase::http_client
