// A server that speaks TLS, over real sockets, with certificates made here.
#include "api/http/tls.h"

#include <fstream>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "api/http/server.h"
#include "api/http/wire_fixture.h"
#include "base/temp_folder.h"

namespace phase::http {
namespace {

namespace fs = std::filesystem;
namespace ssl = asio::ssl;

constexpr std::size_t kLargeBytes = 3'000'000;

/// A certificate for localhost that signs itself, and its key, as PEM files.
void make_certificate(const Tls::Files& files, long seconds_left = 3'600) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const made = ::X509_new();
  ::X509_set_version(made, 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(made), seconds_left + 1'000'000);
  ::X509_gmtime_adj(::X509_getm_notBefore(made), -7'200);
  ::X509_gmtime_adj(::X509_getm_notAfter(made), seconds_left);
  ::X509_set_pubkey(made, key);
  X509_NAME* const name = ::X509_get_subject_name(made);
  ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  ::X509_set_issuer_name(made, name);
  X509_EXTENSION* const names = ::X509V3_EXT_conf_nid(
      nullptr, nullptr, NID_subject_alt_name,
      "DNS:localhost,DNS:*.example.org,DNS:*,DNS:a*b.example,IP:127.0.0.1,IP:2001:db8::1");
  ::X509_add_ext(made, names, -1);
  ::X509_EXTENSION_free(names);
  ASSERT_GT(::X509_sign(made, key, ::EVP_sha256()), 0);
  FILE* file = std::fopen(files.certificate.c_str(), "w");
  ::PEM_write_X509(file, made);
  std::fclose(file);
  file = std::fopen(files.key.c_str(), "w");
  ::PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  fs::permissions(files.key, fs::perms::owner_read | fs::perms::owner_write);
  ::X509_free(made);
  ::EVP_PKEY_free(key);
}

/// A client that trusts one certificate.
class TlsWire {
 public:
  TlsWire(std::uint16_t port, const fs::path& trusted, int version_max = 0)
      : context_(trusting(trusted, version_max)), stream_(io_, context_) {
    stream_.next_layer().connect({asio::ip::address_v4::loopback(), port});
    stream_.handshake(ssl::stream_base::client, error_);
  }
  [[nodiscard]] const boost::system::error_code& error() const { return error_; }
  std::string version() { return ::SSL_get_version(stream_.native_handle()); }

  void send(std::string_view text) { asio::write(stream_, asio::buffer(text)); }
  /// Until `end` was seen, or the server said that it ends; anything else shows in `error`.
  std::string read(std::string_view end = "\x01never") {
    std::string out;
    char piece[16'384];
    error_.clear();
    while (!error_ && out.find(end) == std::string::npos) {
      const std::size_t count = stream_.read_some(asio::buffer(piece), error_);
      out.append(piece, count);
    }
    return out;
  }

 private:
  static ssl::context trusting(const fs::path& certificate, int version_max) {
    ssl::context out(ssl::context::tls_client);
    out.load_verify_file(certificate.string());
    out.set_verify_mode(ssl::verify_peer);
    ::SSL_CTX_set_security_level(out.native_handle(), 0);  // so that it offers what is too old
    SSL_CTX_set_min_proto_version(out.native_handle(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(out.native_handle(), version_max);
    ::SSL_CTX_clear_options(out.native_handle(), SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1);
    return out;
  }
  asio::io_context io_;
  ssl::context context_;
  ssl::stream<asio::ip::tcp::socket> stream_;
  boost::system::error_code error_;
};

class HttpTls : public testing::Test {
 protected:
  void SetUp() override {
    files_ = {folder_ / "cert.pem", folder_ / "key.pem"};
    make_certificate(files_);
  }
  void TearDown() override {
    loop_.run([this] { server_.reset(); });
    loop_.stop();
  }
  void start() {
    auto tls = Tls::load(files_);
    ASSERT_TRUE(tls) << tls.error().text();
    tls_ = *tls;
    Router router(std::vector<std::string>{});
    router.add({Method::get, "/hello", 0,
                [](Request) -> Task<Reply> { co_return Response{200, "text/plain", "hello"}; }});
    router.add({Method::post, "/echo", 2 * kLargeBytes,
                [](Request request) -> Task<Reply> {
                  co_return Response{200, "text/plain", std::string{as_text(request.body)}};
                },
                false, true});
    server_ = std::make_unique<Server>(loop_.executor(), std::move(router), limits_);
    TcpListen where;
    where.token_optional = true;
    where.tls = tls_;
    const auto port = server_->listen(where);
    ASSERT_TRUE(port) << port.error().text();
    port_ = *port;
    loop_.start();
  }
  Code refused() const {
    const auto tls = Tls::load(files_);
    EXPECT_FALSE(tls);
    return tls ? Code::internal : tls.error().code;
  }

  const TempFolder kept_folder_ = TempFolder::make("phase-test").value();
  const std::filesystem::path& folder_ = kept_folder_.path();
  Tls::Files files_;
  ServerLimits limits_;
  std::shared_ptr<Tls> tls_;
  Loop loop_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

constexpr std::string_view kGet = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr std::string_view kLastGet =
    "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

TEST_F(HttpTls, AnswersSeveralRequestsAndSaysItsEnd) {
  start();
  TlsWire wire(port_, files_.certificate);
  ASSERT_FALSE(wire.error()) << wire.error().message();
  wire.send(kGet);
  EXPECT_TRUE(wire.read("hello").starts_with("HTTP/1.1 200"));
  wire.send(kLastGet);
  EXPECT_TRUE(wire.read().ends_with("hello"));
  EXPECT_EQ(wire.error(), asio::error::eof) << "an alert said so: nothing was cut off";
}

TEST_F(HttpTls, SpeaksVersionsThatAreSafeOnly) {
  start();
  TlsWire newest(port_, files_.certificate);
  EXPECT_EQ(newest.version(), "TLSv1.3");
  TlsWire older(port_, files_.certificate, TLS1_2_VERSION);
  EXPECT_FALSE(older.error());
  EXPECT_EQ(older.version(), "TLSv1.2");
  EXPECT_TRUE(TlsWire(port_, files_.certificate, TLS1_1_VERSION).error());
}

TEST_F(HttpTls, TakesAndSendsLargeBodiesWhileItWatchesTheClient) {
  start();
  std::string body(kLargeBytes, 'x');
  for (std::size_t i = 0; i < body.size(); i += 7) body[i] = static_cast<char>('a' + i % 26);
  TlsWire wire(port_, files_.certificate);
  wire.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n");
  wire.send(body);
  const std::string answer = wire.read();
  ASSERT_GT(answer.size(), body.size());
  EXPECT_EQ(answer.substr(answer.size() - body.size()), body);
}

TEST_F(HttpTls, TellsPlainHttpWhatToDo) {
  start();
  const Wire wire(port_);
  wire.send(kGet);
  const std::string answer = wire.read();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << answer;
  EXPECT_NE(answer.find("https://"), std::string::npos);
}

TEST_F(HttpTls, GivesUpOnNoiseAndSilence) {
  limits_.handshake_timeout = 50ms;
  start();
  const Wire silent(port_);
  EXPECT_EQ(silent.read(), "");
  const Wire noise(port_);
  noise.send(std::string(300, '\x16'));
  const std::string said = noise.read();
  EXPECT_EQ(said.find("HTTP"), std::string::npos);
  TlsWire wire(port_, files_.certificate);
  EXPECT_FALSE(wire.error()) << "others are served";
}

TEST_F(HttpTls, ReadsItsNames) {
  start();
  EXPECT_EQ(tls_->names(),
            (std::vector<std::string>{"localhost", "*.example.org", "127.0.0.1", "[2001:db8::1]"}));
  EXPECT_NE(tls_->expires().find("GMT"), std::string::npos);
}

TEST_F(HttpTls, TakesANewCertificateAndKeepsTheOldOneWhenItIsWrong) {
  start();
  const fs::path first = folder_ / "first.pem";
  fs::copy_file(files_.certificate, first);
  std::ofstream(files_.certificate) << "not a certificate\n";
  loop_.run([this] { EXPECT_FALSE(tls_->reload()); });
  EXPECT_FALSE(TlsWire(port_, first).error());
  make_certificate(files_, 7'200);
  loop_.run([this] { EXPECT_TRUE(tls_->reload()); });
  EXPECT_TRUE(TlsWire(port_, first).error());
  EXPECT_FALSE(TlsWire(port_, files_.certificate).error());
}

TEST_F(HttpTls, RefusesFilesThatAreNone) {
  const Tls::Files good = files_;
  fs::permissions(good.key, fs::perms::others_read, fs::perm_options::add);
  EXPECT_EQ(refused(), Code::permission_denied);
  fs::permissions(good.key, fs::perms::others_read, fs::perm_options::remove);
  files_ = {folder_ / "none", good.key};
  EXPECT_EQ(refused(), Code::not_found);
  files_ = {good.key, good.key};
  EXPECT_EQ(refused(), Code::invalid_argument);
  files_ = {good.certificate, good.certificate};
  EXPECT_NE(refused(), Code::internal);
  const Tls::Files other{folder_ / "other.pem", folder_ / "other-key.pem"};
  make_certificate(other);
  files_ = {good.certificate, other.key};
  EXPECT_EQ(refused(), Code::invalid_argument);
  make_certificate(good, -60);
  files_ = good;
  const auto expired = Tls::load(files_);
  ASSERT_FALSE(expired);
  EXPECT_NE(expired.error().message.find("expired"), std::string::npos);
  std::ofstream(good.certificate) << std::string(kPemBytesMax + 1, 'x');
  EXPECT_EQ(refused(), Code::too_large);
}

}  // namespace
}  // namespace phase::http
