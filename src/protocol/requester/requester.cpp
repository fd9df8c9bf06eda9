#include "protocol/requester/requester.h"

#include <algorithm>
#include <deque>

#include "base/event.h"
#include "protocol/requester/attempt_internal.h"
#include "protocol/requester/choose_internal.h"

namespace phase::requester {
namespace {

/// The same provider may be asked again after these.
bool worth_asking_again(Code code) {
  return code == Code::busy || code == Code::unavailable || code == Code::connection_closed ||
         code == Code::timed_out;
}

/// A verified receipt in which the provider says that it could not finish.
bool gave_up(const Outcome& outcome) {
  if (!outcome.verdict.ok()) return false;
  const receipt::Completion& how = outcome.verdict.verified->get().receipt.completion;
  return how.kind == receipt::CompletionKind::failed && how.reason != "input_incomplete";
}

/// One provider to be asked, and how often it was.
struct Place {
  identity::PublicKey key;
  std::size_t asked = 0;
  Duration wait{0};  // it asked for that much patience
};

/// The whole of Requester::run between attempts.
struct Search {
  Requester::World& world;
  const RequesterLimits& limits;
  const Request& request;
  StdinSource& input;
  Observer& observer;
  CancelToken& cancel;
  std::deque<Place> places = {};
  bool input_touched = false, saw_output = false;
  std::optional<Outcome> last_outcome = {};
  bool outcome_is_heard = false;  // what the observer heard last belongs to last_outcome
  std::optional<Error> last_error = {};
};

Error no_provider(const std::vector<Candidate>& found, const Request& request) {
  const std::string hint = "start a provider, or name a bootstrap peer or a provider";
  if (found.empty()) return {Code::unavailable, "no provider was found", hint};
  const Candidate& first = found.front();
  return {Code::unavailable,
          std::to_string(found.size()) + " providers were found, none fits: " +
              identity::PeerId::from(first.key).text() + " " + misfit(first.capabilities, request),
          "ask for less, or " + hint};
}

Task<Result<void>> discover(Search& search) {
  if (search.request.provider) {
    search.places.push_back({*search.request.provider, 0, Duration{0}});
    co_return Result<void>{};
  }
  const Deadline deadline = search.world.clock.deadline_after(search.limits.discovery_max);
  Wanted wanted{std::string(job::kind_name(search.request.job)),
                search.request.requirements.arch.value_or(""), std::nullopt};
  if (const auto* inference = std::get_if<job::InferenceJob>(&search.request.job)) {
    wanted.model = Sha256{inference->model.value};
  }
  Result<std::vector<Candidate>> found =
      co_await search.world.network.find(std::move(wanted), deadline);
  if (!found) co_return fail(std::move(found).error());
  std::erase_if(*found, [&](const Candidate& candidate) {
    const auto& excluded = search.request.excluded;
    return std::ranges::find(excluded, candidate.key) != excluded.end();
  });
  const std::vector<Candidate> fit =
      choose(*found, search.request, search.world.record, search.world.clock.now());
  if (fit.empty()) co_return fail(no_provider(*found, search.request));
  for (const Candidate& candidate : fit) {
    search.places.push_back({candidate.key, 0, Duration{0}});
  }
  co_return Result<void>{};
}

Duration back_off(const Search& search, std::size_t attempt) {
  constexpr std::size_t kDoublingsMax = 10;
  const auto base = static_cast<std::uint64_t>(search.limits.retry_backoff.count())
                    << std::min(attempt - 1, kDoublingsMax);
  if (base == 0) return Duration{0};
  // Half to one and a half of it, so that many who lost one provider do not come back as one.
  const std::uint64_t wait = base / 2 + search.world.random.below(base);
  return Duration(static_cast<std::int64_t>(wait));
}

/// Sleeps, or until cancelled.
Task<void> pause(Search& search, Duration wait) {
  Event wake(search.world.executor);
  Alarm alarm(search.world.clock, search.world.executor);
  alarm.set(search.world.clock.now() + wait, [&wake] { wake.notify(); });
  search.cancel.on_request([&wake] { wake.notify(); });
  static_cast<void>(co_await wake.wait());
  search.cancel.on_request(nullptr);
}

/// Makes ready for another attempt. False: there can be none, and the last result stands.
Task<bool> prepare_retry(Search& search, std::size_t attempt) {
  if (search.input_touched) {
    if (!search.input.rewind()) {
      if (search.last_error) {
        search.last_error->hint = "stdin was sent once and cannot be repeated; run the job again";
      }
      co_return false;
    }
    search.input_touched = false;
  }
  const Place& next = search.places.front();
  const Duration wait = std::max(back_off(search, attempt), next.wait);
  co_await pause(search, wait);
  if (search.saw_output) search.observer.on_restart();
  search.saw_output = false;
  search.outcome_is_heard = false;
  // That a provider gave up is settled by what the next one does; a refused receipt is not hidden.
  if (search.last_outcome && gave_up(*search.last_outcome)) search.last_outcome.reset();
  co_return true;
}

/// Why others are asked instead, in the record's words. Busy is no fault.
void remember(Search& search, const identity::PublicKey& key, const AttemptResult& result) {
  Record* const record = search.world.record;
  if (record == nullptr || search.cancel.requested()) return;
  const Instant now = search.world.clock.now();
  if (!result.outcome) {
    if (result.error.code != Code::busy) record->failed(key, now);
  } else if (!result.outcome->verdict.ok()) {
    record->refused(key, now);
  } else if (gave_up(*result.outcome)) {
    record->failed(key, now);
  } else {
    record->succeeded(key, result.first_output, now);
  }
}

/// Takes an attempt's result in. True when it settles the request.
bool settle(Search& search, Place place, AttemptResult result) {
  search.saw_output = search.saw_output || result.saw_output;
  remember(search, place.key, result);
  if (result.outcome) {
    search.observer.on_outcome(*result.outcome);
    const bool good = result.outcome->verdict.ok() && !gave_up(*result.outcome);
    search.last_outcome = std::move(result.outcome);
    search.outcome_is_heard = true;
    if (good || search.cancel.requested()) return true;
    const verify::Verdict& verdict = search.last_outcome->verdict;
    const Error why =
        verdict.ok() ? Error{Code::unavailable, "the provider could not finish the job", {}}
                     : Error{Code::verification_failed, verdict.text() + ": " + verdict.detail, {}};
    search.observer.on_attempt_failed(place.key, why);
    return false;
  }
  search.observer.on_attempt_failed(place.key, result.error);
  search.last_error = result.error;
  if (search.cancel.requested()) return true;
  if (worth_asking_again(result.error.code) && !result.stalled) {
    ++place.asked;
    const std::uint64_t cap = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(search.limits.retry_after_max)
            .count());
    const std::uint64_t patience = std::min(result.retry_after_ms.value_or(0), cap);
    place.wait = std::chrono::milliseconds(patience);
    search.places.push_back(place);
  }
  return false;
}

}  // namespace

Task<Result<Outcome>> Requester::run(Request request, StdinSource& input, Observer& observer,
                                     CancelToken& cancel) {
  const job::ArtifactRef* const module = job::module_of(request.job);
  const bool fits = module != nullptr ? request.module && request.module->size() == module->length
                                      : request.module == nullptr;
  if (!fits) {
    co_return fail(Code::invalid_argument, "the module's bytes are not those the job names");
  }
  Search search{world_, limits_, request, input, observer, cancel};
  if (!cancel.requested()) PHASE_CO_TRY_VOID(co_await discover(search));
  for (std::size_t attempt = 0; attempt < limits_.attempts_max; ++attempt) {
    if (search.places.empty()) break;
    if (attempt > 0) {
      const bool ready = co_await prepare_retry(search, attempt);
      if (!ready) break;
    }
    if (cancel.requested()) break;
    const Place place = search.places.front();
    search.places.pop_front();
    Attempt::Context context{
        world_, limits_, request, input, observer, cancel, search.input_touched};
    const auto one = std::make_shared<Attempt>(std::move(context), place.key);
    AttemptResult result = co_await one->run();
    if (settle(search, place, std::move(result))) break;
  }
  if (search.last_outcome) {
    if (!search.outcome_is_heard && search.saw_output) observer.on_restart();
    co_return std::move(*search.last_outcome);
  }
  if (cancel.requested()) co_return fail(Code::cancelled, "the job was cancelled");
  if (search.last_error) co_return fail(std::move(*search.last_error));
  co_return fail(Code::unavailable, "no provider was asked", "allow at least one attempt");
}

}  // namespace phase::requester
