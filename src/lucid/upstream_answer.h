// upstream_answer.h — what a llama-server answers, as events of an engine (spec/inference.md §3).
//
// Not trusted: bounded, and what is no answer ends the run as `failed`. The server has already
// taken calls and thought out of the text, so stream 1 is the content alone. Pure: bytes in, events
// out.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "base/result.h"
#include "lucid/upstream_request.h"
#include "worker/inference/inference_worker.h"

namespace phase::lucid {

/// One line of a stream; a call's arguments in all.
inline constexpr std::size_t kUpstreamLineBytesMax = 4_MiB;
inline constexpr std::size_t kUpstreamCallsMax = 128;

class UpstreamAnswer {
 public:
  /// `status` of the answer's head; `dimensions` as in UpstreamRequest.
  UpstreamAnswer(UpstreamRequest::Shape shape, unsigned status, std::size_t dimensions)
      : shape_(shape), status_(status), dimensions_(dimensions) {}

  /// The next bytes. What they mean is at the end of `events`.
  void take(std::string_view bytes);
  /// No more bytes come. The last event is an InferenceEnd.
  void finish();
  /// True once an InferenceEnd is among the events.
  [[nodiscard]] bool over() const noexcept { return over_; }

  std::deque<worker::InferenceEvent> events;

 private:
  struct Call {
    std::string id, name, arguments;
  };

  [[nodiscard]] bool streams() const noexcept {
    return shape_ == UpstreamRequest::Shape::text && status_ == 200;
  }
  void take_line(std::string_view line);
  void take_event(const boost::json::object& event);
  void take_choice(const boost::json::object& choice);
  void take_completion(const boost::json::object& event);
  void take_calls(const boost::json::array& calls);
  void take_chances(const boost::json::array& tokens);
  void take_counts(const boost::json::object& event);
  void say(job::OutputStream stream, std::string_view text);
  void finish_text();
  void finish_document();
  [[nodiscard]] std::string embeddings(const boost::json::object& document) const;
  [[nodiscard]] std::string ranks(const boost::json::object& document) const;
  void refuse(const boost::json::object& error);
  void end(receipt::Completion completion, std::string message);

  UpstreamRequest::Shape shape_;
  unsigned status_;
  std::size_t dimensions_;
  std::string held_;  ///< of a line, or of a document
  std::map<std::uint64_t, Call> calls_;
  std::size_t call_bytes_ = 0;
  std::string reason_;  ///< why the text ended, once it has
  std::uint64_t prompt_tokens_ = 0, completion_tokens_ = 0, cached_tokens_ = 0;
  std::uint64_t prompt_ns_ = 0, eval_ns_ = 0;
  bool over_ = false;
};

}  // namespace phase::lucid
