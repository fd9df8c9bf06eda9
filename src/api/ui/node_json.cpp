#include <boost/json.hpp>

#include "api/faces/json_text.h"
#include "api/ui/node_json_internal.h"

namespace phase::ui {
namespace {

namespace json = boost::json;

/// Texts that peers wrote, and how many of them, as they are passed on.
constexpr std::size_t kTextMax = 256;
constexpr std::size_t kTextsMax = 256;

json::string text_of(std::string_view text) {
  return json::string(printable(text, kTextMax));
}

json::array texts(const std::vector<std::string>& list) {
  json::array out;
  for (const std::string& entry : list) {
    if (out.size() >= kTextsMax) {
      break;
    }
    out.emplace_back(text_of(entry));
  }
  return out;
}

template <typename T>
json::value or_null(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

json::value microseconds(const std::optional<Duration>& duration) {
  if (!duration) {
    return nullptr;
  }
  return std::chrono::duration_cast<std::chrono::microseconds>(*duration).count();
}

json::value memory_of(const std::optional<MachineState::Memory>& memory) {
  if (!memory) {
    return nullptr;
  }
  return json::object{{"total", memory->total}, {"free", memory->free}};
}

json::value offer_of(const std::optional<lucid::PeerView::Offer>& offer) {
  if (!offer) {
    return nullptr;
  }
  return json::object{{"agent", text_of(offer->agent)},
                      {"arch", text_of(offer->arch)},
                      {"runtime", text_of(offer->runtime)},
                      {"models", texts(offer->models)},
                      {"jobs_running", offer->jobs_running},
                      {"jobs_max", offer->jobs_max},
                      {"open", offer->open}};
}

json::value window_of(const std::optional<lucid::ServingWindow>& window) {
  if (!window) {
    return nullptr;
  }
  return json::object{{"start_hour_local", window->start_hour_local},
                      {"end_hour_local", window->end_hour_local}};
}

}  // namespace

std::string status_json(const lucid::NodeStatus& status) {
  json::value paused = nullptr;
  if (status.paused) {
    paused = text_of(*status.paused);
  }
  return json::serialize(json::object{
      {"peer_id", status.id.text()},
      {"version", PHASE_VERSION},
      {"agent", text_of(status.agent)},
      {"worker", status.worker},
      {"isolated", status.isolated},
      {"network", status.network},
      {"listen_addresses", texts(status.listen_addresses)},
      {"peers_connected", status.peers_connected},
      {"mesh",
       json::object{{"on", !status.mesh_models.empty()}, {"models", texts(status.mesh_models)}}},
      {"takes_others", status.takes_others},
      {"manual_pause", status.manual_pause},
      {"paused", std::move(paused)},
      {"machine", json::object{{"on_battery", status.machine.on_battery},
                               {"temperature_c", or_null(status.machine.temperature_c)},
                               {"gpu", memory_of(status.machine.gpu)},
                               {"memory", memory_of(status.machine.memory)}}},
      {"jobs", json::object{{"own", status.own_asks}, {"others", status.jobs_of_others}}}});
}

std::string peers_json(const std::vector<lucid::PeerView>& peers) {
  json::array out;
  for (const lucid::PeerView& peer : peers) {
    out.push_back(json::object{{"peer_id", peer.id.text()},
                               {"connected", peer.connected},
                               {"rtt_us", microseconds(peer.round_trip)},
                               {"addresses", texts(peer.addresses)},
                               {"offer", offer_of(peer.offer)}});
  }
  return json::serialize(json::object{{"peers", std::move(out)}});
}

std::string jobs_json(const std::vector<lucid::WorkEntry>& work) {
  json::array out;
  for (const lucid::WorkEntry& job : work) {
    json::value receipt = nullptr;
    if (job.has_receipt) {
      receipt = "/api/receipts/" + job.job_id;
    }
    out.push_back(json::object{{"job", text_of(job.job_id)},
                               {"for", job.for_others ? "others" : "this node"},
                               {"peer_id", text_of(job.peer)},
                               {"model", text_of(job.model)},
                               {"ended_unix_ms", job.ended.unix_ms},
                               {"prompt_bytes", job.prompt_bytes},
                               {"answer_bytes", job.answer_bytes},
                               {"prompt_tokens", or_null(job.prompt_tokens)},
                               {"answer_tokens", or_null(job.answer_tokens)},
                               {"wall_us", or_null(job.wall_us)},
                               {"completion", text_of(job.completion)},
                               {"verdict", text_of(job.verdict)},
                               {"receipt", std::move(receipt)}});
  }
  return json::serialize(json::object{{"jobs", std::move(out)}});
}

std::string policy_json(const lucid::OperatorPolicy& policy, const std::string& file) {
  json::array submitters;
  for (const identity::PublicKey& key : policy.authorized_submitters) {
    submitters.emplace_back(identity::PeerId::from(key).text());
  }
  return json::serialize(json::object{
      {"file", text_of(file)},
      {"manual_pause", policy.manual_pause},
      {"allow_unauthenticated_jobs", policy.allow_unauthenticated_jobs},
      {"authorized_submitters", std::move(submitters)},
      {"serve_models", texts(policy.serve_models)},
      {"auto_pause_on_battery", policy.auto_pause_on_battery},
      {"auto_pause_on_thermal_threshold_c", or_null(policy.auto_pause_on_thermal_threshold_c)},
      {"time_of_day_window", window_of(policy.time_of_day_window)},
      {"vram_reserve_gb", policy.vram_reserve_gb},
      {"memory_reserve_gb", policy.memory_reserve_gb},
      {"max_concurrent_remote_jobs", policy.max_concurrent_remote_jobs},
      {"max_concurrent_jobs_per_key", policy.max_concurrent_jobs_per_key},
      {"max_jobs_per_minute_per_key", policy.max_jobs_per_minute_per_key},
      {"max_tokens_ceiling", policy.max_tokens_ceiling},
      {"max_prompt_bytes", policy.max_prompt_bytes},
      {"max_wall_seconds", policy.max_wall_seconds}});
}

Result<bool> read_pause(std::string_view text) {
  PHASE_TRY(const json::object object, faces::parse_object(text));
  const json::value* paused = object.if_contains("paused");
  if (object.size() != 1 || paused == nullptr || !paused->is_bool()) {
    return fail(Code::invalid_argument, R"(expected {"paused": true or false})");
  }
  return paused->as_bool();
}

}  // namespace phase::ui
