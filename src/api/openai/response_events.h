// response_events.h — the objects and server-sent events of /v1/responses.
#pragma once

#include "api/faces/streaming.h"

namespace phase::openai {

/// Tells one response: items as they come, events with sequence numbers from 0.
class ResponseEvents final : public faces::StreamWriter {
 public:
  /// `id`: without prefix. `echoed`: members of the request that the response repeats.
  ResponseEvents(std::string id, std::string model, std::uint64_t created,
                 faces::json::object echoed);

  /// response.created and response.in_progress.
  void begin(std::string& out) override;
  void part(std::string& out, const faces::Part& part) override;
  /// Closes what is open, and response.completed or response.incomplete.
  void last(std::string& out, const faces::Summary& summary, const lucid::Route& route) override;
  /// response.failed.
  void failed(std::string& out, const Error& error) override;
  /// The response after `part` and `last`; what they appended is not needed for it.
  [[nodiscard]] std::string whole(const faces::Summary& summary, const lucid::Route& route) const;

 private:
  enum class Open : std::uint8_t { nothing, message, reasoning };
  void event(std::string& out, std::string_view type, faces::json::object members);
  void delta(std::string& out, std::string_view type, std::string_view place,
             std::string_view text);
  void open(std::string& out, Open kind);
  void close(std::string& out);
  void call(std::string& out, const faces::ToolCall& call);
  [[nodiscard]] faces::json::object item(std::string_view status) const;
  [[nodiscard]] faces::json::object response(std::string_view status) const;
  [[nodiscard]] faces::json::object ended(const faces::Summary& summary,
                                          const lucid::Route& route) const;

  std::string id_, model_;
  std::uint64_t created_;
  faces::json::object echoed_;
  faces::json::array output_;  // items that are done
  Open open_ = Open::nothing;
  std::string text_;     // of the open item
  std::string item_id_;  // of the open item
  std::uint64_t sequence_ = 0;
};

}  // namespace phase::openai
