#include "artifact/name_search.h"

#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "artifact/name_book.h"

namespace phase::artifact {
namespace {

/// One search; shared with the questions under way, which may outlive it.
struct Search {
  Search(SearchWorld with, Names what, SearchLimits chosen)
      : world(with),
        asked(std::move(what)),
        limits(chosen),
        asking(world.executor, limits.asked_at_once),
        changed(world.executor) {}

  SearchWorld world;
  Names asked;
  SearchLimits limits;
  Turnstile asking;
  Event changed;
  std::set<identity::PublicKey> peers;
  std::vector<SignedRecord> found;
  std::optional<Instant> first_found;
  std::size_t outstanding = 0;
  bool over = false;
};
using SearchRef = std::shared_ptr<Search>;

void take(Search& search, const Records& records) {
  const UtcTime now = search.world.clock.now_utc();
  for (const Bytes& envelope : records.envelopes) {
    if (search.found.size() >= search.limits.records_max) return;
    auto record = open_record(envelope, now);
    if (record && fits(record->record, search.asked)) search.found.push_back(*std::move(record));
  }
  if (!search.found.empty() && !search.first_found) search.first_found = search.world.clock.now();
}

Task<Result<Records>> exchange(ByteStream& stream, const Names& asked) {
  const Frame question = asked;
  const Result<void> written = co_await write_frame(stream, question);
  if (!written) co_return fail(written.error());
  Result<Frame> answer = co_await read_frame(stream);
  if (!answer) co_return fail(answer.error());
  auto* const records = std::get_if<Records>(&*answer);
  if (records == nullptr) co_return fail(Code::protocol, "the peer answers something else");
  Records out = std::move(*records);
  const Frame end = End{};
  const Result<void> ended = co_await write_frame(stream, end);
  if (ended) stream.close_write();
  co_return out;
}

Task<void> ask(SearchRef search, identity::PublicKey peer) {
  const bool entered = co_await search->asking.enter();
  if (entered && !search->over) {
    const Deadline until = search->world.clock.deadline_after(search->limits.ask_max);
    auto stream = co_await search->world.peers.open(peer, until);
    if (stream && !search->over) {
      Alarm alarm(search->world.clock, search->world.executor);
      alarm.set(until.at, [s = stream->get()] { s->reset(); });
      const Result<Records> records = co_await exchange(**stream, search->asked);
      alarm.stop();
      if (records && !search->over) take(*search, *records);
    }
  }
  if (entered) search->asking.leave();
  --search->outstanding;
  search->changed.notify();
}

void add(const SearchRef& search, const std::vector<identity::PublicKey>& peers) {
  for (const identity::PublicKey& peer : peers) {
    if (search->over || search->peers.size() >= search->limits.peers_max) return;
    if (!search->peers.insert(peer).second) continue;
    ++search->outstanding;
    asio::co_spawn(search->world.executor, ask(search, peer), asio::detached);
  }
}

Task<void> look_up(SearchRef search, std::string key, Deadline until) {
  const auto found = co_await search->world.peers.announced(std::move(key), until);
  if (found && !search->over) add(search, *found);
  --search->outstanding;
  search->changed.notify();
}

}  // namespace

Task<std::vector<SignedRecord>> search_names(SearchWorld world, Names asked, std::string key,
                                             SearchLimits limits) {
  const auto search = std::make_shared<Search>(world, std::move(asked), limits);
  const Deadline until = world.clock.deadline_after(limits.search_max);
  Alarm alarm(world.clock, world.executor);
  Instant next_look{};
  for (;;) {
    const Instant now = world.clock.now();
    if (now >= until.at) break;
    if (search->first_found && now >= *search->first_found + limits.settle) break;
    if (search->outstanding == 0 && search->first_found) break;
    if (search->outstanding == 0 && now >= next_look) {
      if (next_look != Instant{}) search->peers.clear();  // they may have learned of it
      next_look = now + limits.again;
      if (!key.empty()) {
        ++search->outstanding;
        asio::co_spawn(world.executor, look_up(search, key, until), asio::detached);
      }
      add(search, world.peers.connected());
    }
    Instant wake = search->first_found ? *search->first_found + limits.settle : until.at;
    if (search->outstanding == 0) wake = std::min(wake, next_look);
    alarm.set(std::min(wake, until.at), [s = std::weak_ptr<Search>(search)] {
      if (const auto still = s.lock()) still->changed.notify();
    });
    const bool woken = co_await search->changed.wait();
    if (!woken) break;
  }
  alarm.stop();
  search->over = true;
  co_return newest(search->found);
}

}  // namespace phase::artifact
