// certificate_fixture.h — an authority for tests, and what it signs.
#pragma once

#include <memory>
#include <string>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace phase::http_client {

/// PEM of a certificate and of its key.
struct Signed {
  std::string certificate, key;
};

/// Signs with a key of its own. What fails shows as an empty text.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name) : key_(::EVP_EC_gen("P-256")) {
    certificate_ = make(name, key_.get(), "CA:TRUE", {}, kHour);
  }
  [[nodiscard]] std::string pem() const { return text_of(certificate_.get()); }
  /// `names` as in "DNS:localhost,IP:127.0.0.1"; the end may lie before now.
  [[nodiscard]] Signed sign(const std::string& names, long seconds_left = kHour) const {
    const Key key(::EVP_EC_gen("P-256"));
    const Certificate made = make("server", key.get(), "CA:FALSE", names, seconds_left);
    const Out out(::BIO_new(::BIO_s_mem()));
    ::PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return {text_of(made.get()), drained(out.get())};
  }

 private:
  static constexpr long kHour = 3'600;
  template <auto Free>
  struct Freed {
    template <typename T>
    void operator()(T* held) const {
      Free(held);
    }
  };
  using Key = std::unique_ptr<EVP_PKEY, Freed<::EVP_PKEY_free>>;
  using Certificate = std::unique_ptr<X509, Freed<::X509_free>>;
  using Out = std::unique_ptr<BIO, Freed<::BIO_free>>;

  static std::string drained(BIO* out) {
    char* bytes = nullptr;
    const long count = BIO_get_mem_data(out, &bytes);
    return {bytes, static_cast<std::size_t>(count)};
  }
  static std::string text_of(X509* certificate) {
    const Out out(::BIO_new(::BIO_s_mem()));
    ::PEM_write_bio_X509(out.get(), certificate);
    return drained(out.get());
  }
  static void add(X509* to, int kind, const std::string& value) {
    X509_EXTENSION* const made = ::X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    ::X509_add_ext(to, made, -1);
    ::X509_EXTENSION_free(made);
  }
  /// The first one, of the authority itself, signs itself.
  [[nodiscard]] Certificate make(const std::string& name, EVP_PKEY* key, const std::string& kind,
                                 const std::string& names, long seconds_left) const {
    Certificate out(::X509_new());
    X509* const made = out.get();
    ::X509_set_version(made, 2);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(made), seconds_left + 1'000'000);
    ::X509_gmtime_adj(::X509_getm_notBefore(made), -2 * kHour);
    ::X509_gmtime_adj(::X509_getm_notAfter(made), seconds_left);
    ::X509_set_pubkey(made, key);
    ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(made), "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    ::X509_set_issuer_name(made, ::X509_get_subject_name(certificate_ ? certificate_.get() : made));
    add(made, NID_basic_constraints, "critical," + kind);
    if (!names.empty()) add(made, NID_subject_alt_name, names);
    ::X509_sign(made, key_.get(), ::EVP_sha256());
    return out;
  }

  Key key_;
  Certificate certificate_;
};

}  // namespace phase::http_client
