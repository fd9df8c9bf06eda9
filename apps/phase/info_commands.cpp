// Commands that ask the daemon and print what it says.
#include <chrono>
#include <cstdio>

#include <boost/json.hpp>

#include "command.h"
#include "console.h"
#include "run.h"
#include "sdk/cpp/wire.h"

namespace phase::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kCellMax = 96;

/// What stands at a key, as a person reads it; "-" for nothing.
std::string cell(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) {
    return "-";
  }
  if (value->is_string()) {
    const std::string text =
        printable(std::string_view{value->as_string().data(), value->as_string().size()}, kCellMax);
    return text.empty() ? "-" : text;
  }
  if (const json::array* array = value->if_array()) {
    std::string out;
    for (const json::value& entry : *array) {
      const json::string* text = entry.if_string();
      out += out.empty() ? "" : " ";
      out += text != nullptr ? printable({text->data(), text->size()}, kCellMax)
                             : json::serialize(entry);
    }
    return out.empty() ? "-" : out;
  }
  return json::serialize(*value);
}

std::string microseconds(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) {
    return "-";
  }
  boost::system::error_code error;
  const double us = value->to_number<double>(error);
  char text[32];
  std::snprintf(text, sizeof text, "%.2f ms", us / 1000);
  return text;
}

std::string mebibytes(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) {
    return "-";
  }
  boost::system::error_code error;
  return std::to_string(value->to_number<std::uint64_t>(error) >> 20) + " MiB";
}

std::string time_text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) {
    return "-";
  }
  boost::system::error_code error;
  const std::time_t seconds =
      static_cast<std::time_t>(value->to_number<std::uint64_t>(error) / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &parts) > 0 ? text : "-";
}

/// Rows under headings, columns as wide as they need.
void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line += i + 1 < row.size() ? std::string(widths[i] - row[i].size() + 2, ' ') : "";
    }
    print(line);
  }
}

Result<json::array> array_at(const std::string& text, std::string_view key) {
  PHASE_TRY(json::object object, sdk::parse_object(text));
  json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_array()) {
    return fail(Code::protocol, "the daemon's answer has no " + std::string{key});
  }
  return std::move(value->as_array());
}

json::object as_object(const json::value& value) {
  return value.is_object() ? value.as_object() : json::object{};
}

void print_state(const json::object& state) {
  std::vector<std::vector<std::string>> rows = {{"job", cell(state, "id")},
                                                {"state", cell(state, "state")},
                                                {"target", cell(state, "target")},
                                                {"provider", cell(state, "provider")},
                                                {"created", time_text(state, "created")},
                                                {"finished", time_text(state, "finished")},
                                                {"job id", cell(state, "job_id")},
                                                {"execution", cell(state, "execution_id")}};
  if (const json::value* attempts = state.if_contains("attempts");
      attempts != nullptr && attempts->is_array()) {
    for (const json::value& attempt : attempts->as_array()) {
      const json::object entry = as_object(attempt);
      rows.push_back({"attempt", cell(entry, "provider") + "  " + cell(entry, "error")});
    }
  }
  if (const json::value* error = state.if_contains("error");
      error != nullptr && error->is_object()) {
    rows.push_back({"error", cell(error->as_object(), "message")});
    rows.push_back({"next", cell(error->as_object(), "hint")});
  }
  print_table(rows);
}

Result<int> show_state(const std::string& text, bool as_json) {
  PHASE_TRY(const json::object state, sdk::parse_object(text));
  if (as_json) {
    print(json::serialize(state));
  } else {
    print_state(state);
  }
  return 0;
}

Result<int> pass_through(const std::string& text) {
  PHASE_TRY(const json::object object, sdk::parse_object(text));
  print(json::serialize(object));
  return 0;
}

}  // namespace

Result<int> status_command(const Globals& globals, bool as_json) {
  PHASE_TRY(sdk::Client client, connect(globals));
  PHASE_TRY(const std::string text, client.status());
  if (as_json) {
    return pass_through(text);
  }
  PHASE_TRY(const json::object object, sdk::parse_object(text));
  const json::value* jobs = object.if_contains("jobs");
  const json::object counts = jobs != nullptr ? as_object(*jobs) : json::object{};
  std::vector<std::vector<std::string>> rows = {
      {"peer id", cell(object, "peer_id")},
      {"agent",
       cell(object, "agent") + " on " + cell(object, "arch") + ", " + cell(object, "runtime")},
      {"network", cell(object, "network") == "true" ? cell(object, "peers") + " peers" : "off"},
      {"jobs", cell(counts, "running") + " running, " + cell(counts, "queued") +
                   " queued, at most " + cell(counts, "max")},
      {"takes jobs", cell(object, "open") == "true" ? "from anybody" : "from those it allows"},
      {"isolation", cell(object, "isolation")}};
  if (const json::value* listen = object.if_contains("listen_addresses");
      listen != nullptr && listen->is_array()) {
    for (const json::value& address : listen->as_array()) {
      rows.push_back(
          {"listens on", address.is_string() ? printable(std::string{address.as_string()}) : "-"});
    }
  }
  print_table(rows);
  return 0;
}

Result<int> peers_command(const Globals& globals, bool as_json) {
  PHASE_TRY(sdk::Client client, connect(globals));
  PHASE_TRY(const std::string text, client.peers());
  if (as_json) {
    return pass_through(text);
  }
  PHASE_TRY(const json::array peers, array_at(text, "peers"));
  std::vector<std::vector<std::string>> rows = {{"PEER", "RTT", "DIRECT", "ADDRESSES"}};
  for (const json::value& peer : peers) {
    const json::object entry = as_object(peer);
    rows.push_back({cell(entry, "peer_id"), microseconds(entry, "rtt_us"), cell(entry, "direct"),
                    cell(entry, "addresses")});
  }
  print_table(rows);
  return 0;
}

Result<int> providers_command(const Globals& globals, const std::string& kind,
                              const std::string& arch, Duration wait, bool as_json) {
  PHASE_TRY(sdk::Client client, connect(globals));
  PHASE_TRY(const std::string text, client.providers(kind, arch, wait));
  if (as_json) {
    return pass_through(text);
  }
  PHASE_TRY(const json::array providers, array_at(text, "providers"));
  std::vector<std::vector<std::string>> rows = {
      {"PROVIDER", "ARCH", "RUNTIME", "CORES", "MEMORY", "JOBS", "OPEN", "RTT"}};
  for (const json::value& provider : providers) {
    const json::object entry = as_object(provider);
    rows.push_back({cell(entry, "peer_id"), cell(entry, "arch"), cell(entry, "runtime"),
                    cell(entry, "cpu_cores"), mebibytes(entry, "memory_bytes"),
                    cell(entry, "jobs_running") + "/" + cell(entry, "jobs_max"),
                    cell(entry, "open"), microseconds(entry, "rtt_us")});
  }
  print_table(rows);
  return 0;
}

Result<int> ping_command(const Globals& globals, const std::string& peer, bool as_json) {
  PHASE_TRY(sdk::Client client, connect(globals));
  PHASE_TRY(const std::string text, client.ping(peer));
  if (as_json) {
    return pass_through(text);
  }
  PHASE_TRY(const json::object object, sdk::parse_object(text));
  print(cell(object, "peer_id") + " answered in " + microseconds(object, "rtt_us"));
  return 0;
}

Result<int> artifact_add_command(const Globals& globals, const std::filesystem::path& file,
                                 bool as_json) {
  PHASE_TRY(const Bytes module, read_file(file, job::kModuleBytesMax));
  PHASE_TRY(sdk::Client client, connect(globals));
  PHASE_TRY(const std::string text, client.keep_module(module));
  PHASE_TRY(const json::object object, sdk::parse_object(text));
  if (cell(object, "artifact_id") != artifact_id(module).hex()) {
    return fail(Code::protocol, "the daemon gives the module another id than it has");
  }
  if (as_json) {
    return pass_through(text);
  }
  print(cell(object, "artifact_id"));
  if (cell(object, "shared_with") == "nobody") {
    complain(
        "kept, for this node only: its policy lets nobody fetch it; plasmd start --allow PEER_ID "
        "lets one in");
  }
  return 0;
}

Result<int> job_list_command(const Globals& globals, std::size_t limit, bool as_json) {
  PHASE_TRY(sdk::Client client, connect(globals));
  PHASE_TRY(const std::string text, client.jobs(limit));
  if (as_json) {
    return pass_through(text);
  }
  PHASE_TRY(const json::array jobs, array_at(text, "jobs"));
  std::vector<std::vector<std::string>> rows = {{"JOB", "STATE", "CREATED", "TARGET", "PROVIDER"}};
  for (const json::value& job : jobs) {
    const json::object entry = as_object(job);
    rows.push_back({cell(entry, "id"), cell(entry, "state"), time_text(entry, "created"),
                    cell(entry, "target"), cell(entry, "provider")});
  }
  print_table(rows);
  return 0;
}

Result<int> job_show_command(const Globals& globals, const std::string& id, bool as_json) {
  PHASE_TRY(sdk::Client client, connect(globals));
  PHASE_TRY(const std::string text, client.job(id));
  return show_state(text, as_json);
}

Result<int> job_cancel_command(const Globals& globals, const std::string& id, bool as_json) {
  PHASE_TRY(sdk::Client client, connect(globals));
  PHASE_TRY(const std::string text, client.cancel(id));
  return show_state(text, as_json);
}

Result<int> job_result_command(const Globals& globals, const std::string& id, bool as_json) {
  PHASE_TRY(sdk::Client client, connect(globals));
  PHASE_TRY(const sdk::JobResult result, client.kept_result(id));
  RunCommand as_run;
  as_run.json = as_json;
  RunView view(as_run);
  for (const job::OutputPiece& piece : result.transcript) {
    sdk::JobEvent event;
    event.name = "output";
    event.stream = piece.stream;
    event.data = piece.data;
    PHASE_TRY_VOID(view.event(event));
  }
  return view.conclude(result, nullptr);
}

}  // namespace phase::cli
