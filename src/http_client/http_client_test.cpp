#include "http_client/http_client.h"

#include <fstream>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/loop_fixture.h"
#include "http_client/certificate_fixture.h"

namespace phase::http_client {
namespace {

namespace ssl = asio::ssl;
using asio::ip::tcp;

class HttpClient : public LoopTest {
 protected:
  /// Answers one connection with `text`, and ends it.
  Url serve(std::string text) {
    acceptor_.emplace(context_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
    asio::co_spawn(context_, answer(*acceptor_, std::move(text), asked_), asio::detached);
    return {"127.0.0.1", acceptor_->local_endpoint().port(), "/api"};
  }
  static Task<void> answer(tcp::acceptor& acceptor, std::string text, std::string& asked) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    const auto await = asio::as_tuple(asio::use_awaitable);
    co_await asio::async_read_until(socket, asio::dynamic_buffer(asked), "\r\n\r\n", await);
    co_await asio::async_write(socket, asio::buffer(text), await);
  }
  Result<Answer> ask(Url url, Options options = {}) {
    return run(get(context_.get_executor(), std::move(url), "/mesh", std::move(options)));
  }

  std::optional<tcp::acceptor> acceptor_;
  std::string asked_;
};

TEST_F(HttpClient, GetsAnAnswerWithItsStatus) {
  const auto answer = ask(serve("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"));
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->status, 404U);
  EXPECT_EQ(answer->body, "none");
  EXPECT_TRUE(asked_.starts_with("GET /api/mesh HTTP/1.1\r\n")) << asked_;
}

TEST_F(HttpClient, AnAnswerThatIsTooLongIsAnError) {
  Options options;
  options.answer_bytes_max = 3;
  const auto answer = ask(serve("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour"), options);
  ASSERT_FALSE(answer);
}

TEST_F(HttpClient, AnAnswerThatBreaksOffIsAnError) {
  const auto answer = ask(serve("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::connection_closed);
}

TEST_F(HttpClient, WhereNobodyListensTheNextStepIsSaid) {
  Options options;
  options.who = "the coordinator";
  options.hint = "start it";
  const auto answer = ask({"127.0.0.1", 9, {}}, options);  // discard: nothing listens there
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::unavailable);
  EXPECT_TRUE(answer.error().message.starts_with("the coordinator http://127.0.0.1:9 "));
  EXPECT_EQ(answer.error().hint, "start it");
}

/// A server with a certificate that an authority of the test signed.
class HttpsClient : public HttpClient {
 protected:
  Url serve_tls(const std::string& names, long seconds_left = 3'600) {
    const Signed made = authority_.sign(names, seconds_left);
    server_.use_certificate_chain(asio::buffer(made.certificate));
    server_.use_private_key(asio::buffer(made.key), ssl::context::pem);
    ::SSL_CTX_set_tlsext_servername_arg(server_.native_handle(), &named_);
    ::SSL_CTX_set_tlsext_servername_callback(server_.native_handle(), remember_name);
    acceptor_.emplace(context_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
    asio::co_spawn(context_, answer_tls(*acceptor_, server_, asked_), asio::detached);
    return at("localhost");
  }
  Url at(std::string host) const {
    return {std::move(host), acceptor_->local_endpoint().port(), "", true};
  }
  Options trusting(const std::string& pem) const {
    std::ofstream(folder_ / "ca.pem") << pem;
    Options out;
    out.trust = Trust::of_file(folder_ / "ca.pem").value();
    out.trust_hint = "--ca FILE";
    return out;
  }
  /// What it says, after it did not work.
  Error refused(Url url, Options options) {
    const auto answer = ask(std::move(url), std::move(options));
    EXPECT_FALSE(answer);
    EXPECT_EQ(asked_, "") << "nothing is said to a server that is not believed";
    return answer ? Error{} : answer.error();
  }

  static Task<void> answer_tls(tcp::acceptor& acceptor, ssl::context& context, std::string& asked) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    ssl::stream<tcp::socket> stream(std::move(socket), context);
    const auto await = asio::as_tuple(asio::use_awaitable);
    auto [error] = co_await stream.async_handshake(ssl::stream_base::server, await);
    if (error) co_return;
    co_await asio::async_read_until(stream, asio::dynamic_buffer(asked), "\r\n\r\n", await);
    const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    co_await asio::async_write(stream, asio::buffer(text), await);
  }
  static Task<void> answer_plainly(tcp::acceptor& acceptor) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    const auto await = asio::as_tuple(asio::use_awaitable);
    const std::string text = "HTTP/1.1 400 Bad Request\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(text), await);
    char waste = 0;
    co_await socket.async_read_some(asio::buffer(&waste, 1), await);
  }
  static int remember_name(SSL* ssl, int*, void* where) {
    const char* const name = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    *static_cast<std::string*>(where) = name == nullptr ? "" : name;
    return SSL_TLSEXT_ERR_OK;
  }

  TestAuthority authority_{"authority"};
  ssl::context server_{ssl::context::tls_server};
  std::string named_;  ///< by the client (SNI)
};

TEST_F(HttpsClient, AsksWhomAnAuthorityNames) {
  const auto answer = ask(serve_tls("DNS:localhost"), trusting(authority_.pem()));
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->body, "secret");
  EXPECT_EQ(named_, "localhost");
}

TEST_F(HttpsClient, AnAddressIsComparedWithAddresses) {
  serve_tls("IP:127.0.0.1");
  EXPECT_TRUE(ask(at("127.0.0.1"), trusting(authority_.pem())));
  EXPECT_EQ(named_, "") << "an address is no name (RFC 6066)";
}

TEST_F(HttpsClient, AServersOwnCertificateIsEnough) {
  const Url url = serve_tls("DNS:localhost");
  BIO* const out = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_X509(out, ::SSL_CTX_get0_certificate(server_.native_handle()));
  char* bytes = nullptr;
  const long count = BIO_get_mem_data(out, &bytes);
  const std::string pem(bytes, static_cast<std::size_t>(count));
  ::BIO_free(out);
  EXPECT_TRUE(ask(url, trusting(pem)));
}

TEST_F(HttpsClient, AnotherAuthorityIsNotBelieved) {
  const TestAuthority other("authority");  // the same name, another key
  const Error error = refused(serve_tls("DNS:localhost"), trusting(other.pem()));
  EXPECT_EQ(error.code, Code::unauthorized);
  EXPECT_NE(error.message.find("nobody trusted here has signed"), std::string::npos)
      << error.text();
  EXPECT_EQ(error.hint, "--ca FILE");
}

TEST_F(HttpsClient, TheSystemsAuthoritiesDoNotKnowOurs) {
  EXPECT_EQ(refused(serve_tls("DNS:localhost"), {}).code, Code::unauthorized);
}

TEST_F(HttpsClient, AnotherNameIsNotBelieved) {
  const Error error = refused(serve_tls("DNS:elsewhere,DNS:*"), trusting(authority_.pem()));
  EXPECT_EQ(error.code, Code::unauthorized);
  EXPECT_NE(error.message.find("not for localhost"), std::string::npos) << error.text();
}

TEST_F(HttpsClient, AnotherAddressIsNotBelieved) {
  serve_tls("DNS:localhost,DNS:127.0.0.1,IP:127.0.0.2");
  EXPECT_EQ(refused(at("127.0.0.1"), trusting(authority_.pem())).code, Code::unauthorized);
}

TEST_F(HttpsClient, WhatExpiredIsNotBelieved) {
  const Error error = refused(serve_tls("DNS:localhost", -60), trusting(authority_.pem()));
  EXPECT_EQ(error.code, Code::unauthorized);
  EXPECT_NE(error.message.find("expired"), std::string::npos) << error.text();
}

TEST_F(HttpsClient, OldVersionsAreNotSpoken) {
  const Url url = serve_tls("DNS:localhost");
  ::SSL_CTX_set_security_level(server_.native_handle(), 0);
  ::SSL_CTX_clear_options(server_.native_handle(), SSL_OP_NO_TLSv1_1);
  SSL_CTX_set_min_proto_version(server_.native_handle(), TLS1_1_VERSION);
  SSL_CTX_set_max_proto_version(server_.native_handle(), TLS1_1_VERSION);
  EXPECT_EQ(refused(url, trusting(authority_.pem())).code, Code::unavailable);
}

TEST_F(HttpsClient, APlainServerIsTold) {
  acceptor_.emplace(context_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  asio::co_spawn(context_, answer_plainly(*acceptor_), asio::detached);
  const Url url = at("localhost");
  const auto answer = ask(url, trusting(authority_.pem()));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::unavailable);
  EXPECT_NE(answer.error().message.find("does not speak TLS"), std::string::npos)
      << answer.error().text();
}

TEST_F(HttpsClient, AServerThatSaysNothingIsLeft) {
  acceptor_.emplace(context_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));  // queues
  Options options = trusting(authority_.pem());
  options.handshake_max = 50ms;
  EXPECT_EQ(refused(at("localhost"), options).code, Code::unavailable);
}

TEST_F(HttpsClient, AFileWithoutACertificateIsNone) {
  std::ofstream(folder_ / "ca.pem") << "nothing\n";
  EXPECT_EQ(Trust::of_file(folder_ / "ca.pem").error().code, Code::invalid_argument);
  EXPECT_EQ(Trust::of_file(folder_ / "none").error().code, Code::not_found);
}

TEST(HttpUrls, SayWhereAndHow) {
  EXPECT_EQ(parse_url("https://box").value().text(), "https://box:443");
  EXPECT_EQ(parse_url("https://box:8443/a").value().text(), "https://box:8443/a");
  EXPECT_EQ(parse_url("http://box").value().text(), "http://box:80");
  EXPECT_EQ(parse_url("box").error().code, Code::invalid_argument);
  EXPECT_EQ(parse_url("ftp://box").error().code, Code::invalid_argument);
  EXPECT_EQ(parse_url("http://[::1]:9/a/").value().text(), "http://[::1]:9/a");
}

}  // namespace
}  // namespace phase::http_client
