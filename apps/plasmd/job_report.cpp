#include "job_report.h"

#include <algorithm>

#include <boost/json.hpp>

namespace phase::plasmd {
namespace {

namespace json = boost::json;

json::object parse(std::string_view text) {
  json::value value = json::parse(json::string_view(text.data(), text.size()));
  return std::move(value.as_object());
}

std::string text_at(const json::object& object, std::string_view name) {
  const auto* const value = object.if_contains(json::string_view(name.data(), name.size()));
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string{};
}

const json::object* object_at(const json::object& object, std::string_view name) {
  const auto* const value = object.if_contains(json::string_view(name.data(), name.size()));
  return value == nullptr ? nullptr : value->if_object();
}

Bytes bytes_at(const json::object& object, std::string_view name) {
  auto bytes = from_base64(text_at(object, name));
  return bytes ? *std::move(bytes) : Bytes{};
}

/// The error of a job that got no receipt.
std::optional<Error> error_of(const json::object& result) {
  const auto* const error = object_at(result, "error");
  if (error == nullptr) {
    return std::nullopt;
  }
  Error out{Code::internal, text_at(*error, "message"), text_at(*error, "hint")};
  const std::string name = text_at(*error, "code");
  for (int code = 1; code <= static_cast<int>(Code::internal); ++code) {
    if (code_name(static_cast<Code>(code)) == name) {
      out.code = static_cast<Code>(code);
    }
  }
  return out;
}

bool is_verified(const json::object& result) {
  const auto* const verdict = object_at(result, "verdict");
  const auto* const verified = verdict == nullptr ? nullptr : verdict->if_contains("verified");
  return verified != nullptr && verified->is_bool() && verified->as_bool();
}

std::string verdict_text(const json::object& result) {
  if (is_verified(result)) {
    return "receipt verified";
  }
  const auto* const verdict = object_at(result, "verdict");
  return "receipt refused: " + (verdict == nullptr ? "none" : text_at(*verdict, "failed_check"));
}

/// 0 when the receipt verified, whatever the module did.
Result<int> status_of(const json::object& result) {
  if (auto error = error_of(result)) {
    return fail(*std::move(error));
  }
  return is_verified(result) ? 0 : kExitNotVerified;
}

/// `{"event":name, …the object's keys}` and a newline.
Bytes event_line(std::string_view name, std::string_view object) {
  std::string out = R"({"event":")" + std::string(name) + '"';
  if (object.size() > 2) {
    out += ',';
    out += object.substr(1);
  } else {
    out += '}';
  }
  out += '\n';
  return to_bytes(out);
}

/// execute-job --events
class EventLines final : public JobReport {
 public:
  explicit EventLines(Console& console) : console_(console) {}
  [[nodiscard]] bool wants_transcript() const override { return true; }
  Task<bool> accepted(const std::string& id) override {
    return console_.write(1, event_line("accepted", json::serialize(json::object{{"id", id}})));
  }
  Task<bool> happened(std::string_view name, const std::string& object) override {
    return console_.write(1, event_line(name, object));
  }
  Task<Result<int>> finished(const std::string& object) override {
    Bytes line = event_line("result", object);
    const bool written = co_await console_.write(1, std::move(line));
    if (!written) {
      co_return fail(Code::io, "nobody reads our output any more");
    }
    co_return status_of(parse(object));
  }

 private:
  Console& console_;
};

void append_pretty(std::string& out, const json::value& value, std::size_t indent) {
  const std::string inner(indent + 2, ' ');
  if (const auto* const object = value.if_object(); object != nullptr && !object->empty()) {
    out += '{';
    char before = ' ';
    for (const auto& [name, member] : *object) {
      out += (before == ',' ? ",\n" : "\n") + inner + json::serialize(json::value(name)) + ": ";
      append_pretty(out, member, indent + 2);
      before = ',';
    }
    out += '\n' + std::string(indent, ' ') + '}';
  } else if (const auto* const array = value.if_array(); array != nullptr && !array->empty()) {
    out += '[';
    char before = ' ';
    for (const auto& member : *array) {
      out += (before == ',' ? ",\n" : "\n") + inner;
      append_pretty(out, member, indent + 2);
      before = ',';
    }
    out += '\n' + std::string(indent, ' ') + ']';
  } else {
    out += json::serialize(value);
  }
}

/// Bytes as JSON text: what is not UTF-8 becomes U+FFFD, byte by byte.
std::string utf8_of(ByteView bytes) {
  if (is_utf8(bytes)) {
    return std::string(as_text(bytes));
  }
  std::string out;
  for (std::size_t i = 0; i < bytes.size();) {
    std::size_t length = 1;
    while (length <= 4 && i + length <= bytes.size() && !is_utf8(bytes.subspan(i, length))) {
      ++length;
    }
    if (length <= 4 && i + length <= bytes.size()) {
      out += as_text(bytes.subspan(i, length));
      i += length;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return out;
}

/// execute-job
class Document final : public JobReport {
 public:
  explicit Document(Console& console) : console_(console) {}
  [[nodiscard]] bool wants_transcript() const override { return true; }
  Task<bool> accepted(const std::string&) override { co_return true; }
  Task<bool> happened(std::string_view, const std::string&) override { co_return true; }
  Task<Result<int>> finished(const std::string& text) override {
    json::object result = parse(text);
    for (const char* const name : {"stdout", "stderr"}) {
      result[std::string(name) + "_base64"] = text_at(result, name);
      result[name] = utf8_of(bytes_at(result, name));
    }
    std::string out;
    append_pretty(out, result, 0);
    Bytes document = to_bytes(out + "\n");
    const bool written = co_await console_.write(1, std::move(document));
    if (!written) {
      co_return fail(Code::io, "nobody reads our output any more");
    }
    co_return status_of(result);
  }

 private:
  Console& console_;
};

/// run
class Streams final : public JobReport {
 public:
  Streams(Console& console, bool quiet) : console_(console), quiet_(quiet) {}
  [[nodiscard]] bool wants_transcript() const override { return false; }
  Task<bool> accepted(const std::string&) override { co_return true; }
  Task<bool> happened(std::string_view name, const std::string& text) override {
    if (name != "output") {
      co_return true;
    }
    const json::object event = parse(text);
    const int descriptor = event.at("stream").to_number<int>();
    Bytes bytes = bytes_at(event, "data");
    const bool written = co_await console_.write(descriptor, std::move(bytes));
    co_return written;
  }
  Task<Result<int>> finished(const std::string& text) override {
    const json::object result = parse(text);
    if (auto error = error_of(result)) {
      co_return fail(*std::move(error));
    }
    const auto* const completion = object_at(result, "completion");
    const std::string kind = completion == nullptr ? "failed" : text_at(*completion, "kind");
    const std::string reason = completion == nullptr ? "" : text_at(*completion, "reason");
    if (!quiet_ || kind != "exited") {
      Bytes said = to_bytes(summary(result, kind, reason));
      co_await console_.write(2, std::move(said));
    }
    if (!is_verified(result)) {
      co_return kExitNotVerified;
    }
    if (kind == "exited") {
      co_return module_status(*completion);
    }
    co_return kind == "cancelled" ? kExitCancelled : kExitNotExited;
  }

 private:
  static int module_status(const json::object& completion) {
    const auto* const code = completion.if_contains("exit_code");
    const auto* const number = code == nullptr ? nullptr : code->if_int64();
    if (number == nullptr) {
      return 0;
    }
    const int low = static_cast<int>(*number & 0xFF);
    return low == 0 && *number != 0 ? 1 : low;  // never success for a code that is not 0
  }

  static std::string summary(const json::object& result, const std::string& kind,
                             const std::string& reason) {
    std::string out = "plasmd: " + kind;
    if (const auto* const code = result.if_contains("exit_code");
        code != nullptr && code->is_int64()) {
      out += " " + std::to_string(code->as_int64());
    }
    if (!reason.empty()) {
      out += " (" + reason + ")";
    }
    if (const auto* const claimed = object_at(result, "claimed")) {
      if (const auto* const us = claimed->if_contains("wall_us");
          us != nullptr && us->is_number()) {
        out += ", " + std::to_string(us->to_number<std::uint64_t>() / 1000) + " ms";
      }
    }
    return out + ", " + verdict_text(result) + "\n";
  }

  Console& console_;
  bool quiet_;
};

}  // namespace

std::unique_ptr<JobReport> make_report(const CommandLine& line, Console& console) {
  if (line.verb == Verb::run) {
    return std::make_unique<Streams>(console, line.job.quiet);
  }
  if (line.job.events) {
    return std::make_unique<EventLines>(console);
  }
  return std::make_unique<Document>(console);
}

}  // namespace phase::plasmd
