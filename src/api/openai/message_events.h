// message_events.h — the objects and server-sent events of /v1/messages.
#pragma once

#include "api/faces/streaming.h"

namespace phase::openai {

/// Tells one message: message_start, blocks as they come, message_delta, message_stop.
class MessageEvents final : public faces::StreamWriter {
 public:
  MessageEvents(std::string id, std::string model);

  void begin(std::string& out) override;
  void part(std::string& out, const faces::Part& part) override;
  void last(std::string& out, const faces::Summary& summary, const lucid::Route& route) override;
  void failed(std::string& out, const Error& error) override;
  [[nodiscard]] std::string whole(const faces::Part& all, const faces::Summary& summary,
                                  const lucid::Route& route) const;

 private:
  enum class Open : std::uint8_t { nothing, text, thinking };
  void open(std::string& out, Open kind);
  void close(std::string& out);

  std::string id_, model_;
  Open open_ = Open::nothing;
  std::size_t index_ = 0;  // of the open block, or of the next
  bool called_ = false;
};

/// {"type": "error", "error": {"type", "message"}}
[[nodiscard]] std::string message_error(const Error& error);

}  // namespace phase::openai
