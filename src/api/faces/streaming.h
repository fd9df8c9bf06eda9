// streaming.h — an answer sent while it is made: one loop for every face; how it is written
// differs.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/faces/face.h"

namespace phase::faces {

/// Writes one answer in the words of a face. What is appended to `out` goes to the client at once.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  /// Before the first part.
  virtual void begin(std::string&) {}
  virtual void part(std::string& out, const Part& part) = 0;
  /// After the last part.
  virtual void last(std::string& out, const Summary& summary, const lucid::Route& route) = 0;
  /// Instead of all that would follow: the status is long gone.
  virtual void failed(std::string& out, const Error& error) = 0;
};

/// 200, the headers of a stream, and parts until the last one or the client goes away.
[[nodiscard]] http::Stream stream_answer(std::string_view content_type, Begun begun,
                                         std::shared_ptr<StreamWriter> writer);

/// A handler that fails politely, in the face's words, once the server is closed.
template <typename Refuse, typename Function>
[[nodiscard]] http::Handler guarded(const FaceRef& face, Refuse refuse, Function function) {
  return [face, refuse, function](http::Request request) -> Task<http::Reply> {
    if (face->closed) {
      return [](http::Response response) -> Task<http::Reply> {
        co_return response;
      }(refuse(Error{Code::unavailable, "the server is stopping", {}}));
    }
    return function(face, std::move(request));
  };
}

}  // namespace phase::faces
