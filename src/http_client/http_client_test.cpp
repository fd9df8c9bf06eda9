#include "http_client/http_client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/loop_fixture.h"

namespace phase::http_client {
namespace {

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

TEST(HttpUrls, HttpsIsNamedAsWhatIsMissing) {
  EXPECT_EQ(parse_url("https://box").error().code, Code::unsupported);
  EXPECT_EQ(parse_url("box").error().code, Code::invalid_argument);
  EXPECT_EQ(parse_url("http://[::1]:9/a/").value().text(), "http://[::1]:9/a");
}

}  // namespace
}  // namespace phase::http_client
