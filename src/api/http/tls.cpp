#include "api/http/tls.h"

#include <fstream>

#include <arpa/inet.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

namespace phase::http {
namespace {

namespace ssl = boost::asio::ssl;

/// Of TLS 1.2: forward secrecy and authenticated encryption only. Those of 1.3 all have both.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
/// The protocols spoken inside (RFC 7301): length and name.
constexpr unsigned char kProtocols[] = "\x08http/1.1\x08http/1.0";
constexpr unsigned kProtocolsBytes = sizeof kProtocols - 1;

Result<std::string> read_pem(const std::filesystem::path& path) {
  std::error_code problem;
  if (!std::filesystem::is_regular_file(path, problem)) {
    return fail(Code::not_found, "there is no file " + path.string());
  }
  std::ifstream file(path, std::ios::binary);
  std::string out(kPemBytesMax + 1, '\0');
  file.read(out.data(), static_cast<std::streamsize>(out.size()));
  if (file.bad() || !file.is_open()) {
    return fail(Code::permission_denied, "cannot read " + path.string());
  }
  out.resize(static_cast<std::size_t>(file.gcount()));
  if (out.size() > kPemBytesMax) {
    return fail(Code::too_large, path.string() + " has more than 1 MiB");
  }
  return out;
}

Result<void> check_secret(const std::filesystem::path& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) {
    return fail_errno(errno, "cannot read " + path.string());
  }
  if ((facts.st_mode & S_IRWXO) != 0) {
    return fail(Code::permission_denied,
                "everybody on this machine may use the key " + path.string(),
                "chmod 600 " + path.string());
  }
  return {};
}

/// The last of OpenSSL's errors, which are then forgotten.
tl::unexpected<Error> wrong(const std::filesystem::path& path, std::string_view what) {
  const char* const reason = ::ERR_reason_error_string(::ERR_peek_last_error());
  ::ERR_clear_error();
  return fail(Code::invalid_argument, path.string() + " " + std::string{what} +
                                          (reason == nullptr ? "" : ": " + std::string{reason}));
}

std::string text_of(const ASN1_STRING* name) {
  const auto* bytes = reinterpret_cast<const char*>(::ASN1_STRING_get0_data(name));
  return {bytes, static_cast<std::size_t>(::ASN1_STRING_length(name))};
}

/// An address as a Host header writes it; empty for what is none.
std::string address_of(const ASN1_OCTET_STRING* raw) {
  const int length = ::ASN1_STRING_length(raw);
  const int family = length == 4 ? AF_INET : AF_INET6;
  char text[INET6_ADDRSTRLEN] = {};
  if ((length != 4 && length != 16) ||
      ::inet_ntop(family, ::ASN1_STRING_get0_data(raw), text, sizeof text) == nullptr) {
    return {};
  }
  return length == 4 ? std::string{text} : "[" + std::string{text} + "]";
}

/// Subject alternative names (RFC 5280 §4.2.1.6). A `*` stands in front of a dot only, so it fits
/// what the holder of the name made.
std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> out;
  auto* names = static_cast<GENERAL_NAMES*>(
      ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names);
  for (int i = 0; i < count && out.size() < kCertificateNamesMax; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    std::string text = name->type == GEN_DNS     ? text_of(name->d.dNSName)
                       : name->type == GEN_IPADD ? address_of(name->d.iPAddress)
                                                 : std::string{};
    const bool wild = text.find('*', text.starts_with("*.") ? 1 : 0) != std::string::npos;
    if (!text.empty() && !wild) {
      out.push_back(std::move(text));
    }
  }
  ::GENERAL_NAMES_free(names);
  return out;
}

std::string time_text(const ASN1_TIME* time) {
  BIO* const out = ::BIO_new(BIO_s_mem());
  char* text = nullptr;
  std::string result;
  if (out != nullptr && ::ASN1_TIME_print(out, time) == 1) {
    const long length = BIO_get_mem_data(out, &text);
    result.assign(text, static_cast<std::size_t>(length));
  }
  ::BIO_free(out);
  return result;
}

/// A key with a password would make OpenSSL ask the terminal.
int no_password(char*, int, int, void*) {
  return 0;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* in, unsigned int in_length, void*) {
  unsigned char* chosen = nullptr;
  const int found =
      ::SSL_select_next_proto(&chosen, out_length, kProtocols, kProtocolsBytes, in, in_length);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

Result<void> harden(SSL_CTX* context, const std::filesystem::path& path) {
  ::SSL_CTX_set_options(
      context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  ::SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  ::SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  ::SSL_CTX_set_default_passwd_cb(context, no_password);
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      ::SSL_CTX_set_cipher_list(context, kCiphers) != 1) {
    return wrong(path, "cannot be used: the TLS library has not what is needed");
  }
  return {};
}

}  // namespace

struct Tls::Loaded {
  ssl::context context{ssl::context::tls_server};
  std::vector<std::string> names;
  std::string expires;
};

Tls::Tls(Files files) : files_(std::move(files)) {}
Tls::~Tls() = default;

Result<std::unique_ptr<Tls::Loaded>> Tls::read(const Files& files) {
  PHASE_TRY(const std::string certificate, read_pem(files.certificate));
  PHASE_TRY(const std::string key, read_pem(files.key));
  PHASE_TRY_VOID(check_secret(files.key));
  auto out = std::make_unique<Loaded>();
  SSL_CTX* const context = out->context.native_handle();
  PHASE_TRY_VOID(harden(context, files.certificate));
  boost::system::error_code error;
  out->context.use_certificate_chain(asio::buffer(certificate), error);
  if (error) {
    return wrong(files.certificate, "has no certificate in PEM");
  }
  out->context.use_private_key(asio::buffer(key), ssl::context::pem, error);
  if (error) {
    return wrong(files.key, "is no key in PEM, is encrypted, or belongs to another certificate");
  }
  if (::SSL_CTX_check_private_key(context) != 1) {
    return wrong(files.key, "is not the key of " + files.certificate.string());
  }
  const X509* const leaf = ::SSL_CTX_get0_certificate(context);
  out->expires = time_text(::X509_get0_notAfter(leaf));
  if (::X509_cmp_current_time(::X509_get0_notAfter(leaf)) < 0) {
    return fail(Code::invalid_argument,
                "the certificate in " + files.certificate.string() + " expired on " + out->expires);
  }
  out->names = names_of(leaf);
  return out;
}

Result<std::shared_ptr<Tls>> Tls::load(Files files) {
  std::shared_ptr<Tls> out(new Tls(std::move(files)));
  PHASE_TRY(out->loaded_, read(out->files_));
  return out;
}

Result<void> Tls::reload() {
  PHASE_TRY(auto fresh, read(files_));
  loaded_ = std::move(fresh);
  return {};
}

const std::vector<std::string>& Tls::names() const noexcept {
  return loaded_->names;
}
const std::string& Tls::expires() const noexcept {
  return loaded_->expires;
}
ssl::context& Tls::context() noexcept {
  return loaded_->context;
}

}  // namespace phase::http
