#include "lucid/pulls.h"

#include <algorithm>
#include <deque>

#include "base/artifact_text.h"
#include "mesh/remote_network.h"

namespace phase::lucid {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigestShown = 12;
/// Lines about the same layer come no quicker than this.
constexpr Duration kLinePause = 100ms;
/// For a content alone, a name is looked for this long.
constexpr Duration kNameOfContentMax = 2s;

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

class Told final : public Transfer {
 public:
  explicit Told(std::vector<TransferLine> lines) : lines_(lines.begin(), lines.end()) {}
  Task<Result<std::optional<TransferLine>>> next() override {
    std::optional<TransferLine> line;
    if (!lines_.empty()) {
      line = std::move(lines_.front());
      lines_.pop_front();
    }
    co_return line;
  }

 private:
  std::deque<TransferLine> lines_;
};

}  // namespace

std::unique_ptr<Transfer> told_lines(std::vector<TransferLine> lines) {
  return std::make_unique<Told>(std::move(lines));
}

TransferLine status_line(std::string text) {
  TransferLine out;
  out.status = std::move(text);
  return out;
}

TransferLine layer_line(std::string_view verb, const Sha256& sha256, std::uint64_t total,
                        std::optional<std::uint64_t> completed) {
  const std::string hex = sha256.hex();
  TransferLine out;
  out.status = std::string(verb) + " " + hex.substr(0, kDigestShown);
  out.digest = "sha256:" + hex;
  out.total = total;
  out.completed = completed;
  return out;
}

Result<PullSpec> PullSpec::parse(std::string_view text) {
  PullSpec out;
  out.as_written = printable(text, 160);
  const std::string all = lower(text);
  std::string_view rest = all;
  constexpr std::string_view kDigest = "sha256:";
  if (looks_like_artifact(rest)) {
    PHASE_TRY(out.id, parse_artifact(rest));
    return out;
  }
  const std::size_t at = rest.find('@');
  std::string_view digest = rest.starts_with(kDigest) && rest.size() == 71 ? rest : "";
  if (at != std::string_view::npos) digest = rest.substr(at + 1);
  if (at != std::string_view::npos || !digest.empty()) {
    if (digest.starts_with(kDigest)) digest.remove_prefix(kDigest.size());
    if (digest.size() < artifact::kDigestPrefixMin || digest.size() > 64 || !is_hex(digest)) {
      return fail(Code::invalid_argument, "not a digest: " + out.as_written,
                  "NAME@sha256:<12 to 64 hexadecimal digits>");
    }
    out.digest_prefix = digest;
    if (at == std::string_view::npos) return out;
    rest = rest.substr(0, at);
  }
  PHASE_TRY(out.name, ModelName::parse(rest));
  return out;
}

struct Pulls::State {
  explicit State(World with) : world(std::move(with)) {}
  World world;
  bool closed = false;
};

namespace {

Error stopping() {
  return {Code::cancelled, "the node stops", {}};
}

/// One pull: each call of `next` goes on to the next line.
class Pull final : public Transfer {
 public:
  Pull(std::shared_ptr<Pulls::State> state, PullSpec spec)
      : state_(std::move(state)), spec_(std::move(spec)) {}

  Task<Result<std::optional<TransferLine>>> next() override {
    Result<std::optional<TransferLine>> line = co_await step();
    if (line) co_return line;
    // Clients show the one text of an error: the way out stands in it.
    stage_ = Stage::end;
    co_return fail(line.error().code, line.error().text());
  }

 private:
  enum class Stage : std::uint8_t { begin, resolve, fetch, checking, checked, name, end };

  Task<Result<std::optional<TransferLine>>> step() {
    switch (stage_) {
      case Stage::begin:
        stage_ = Stage::resolve;
        co_return status_line("pulling manifest");
      case Stage::resolve: {
        Result<void> resolved = co_await resolve();
        if (!resolved) co_return fail(resolved.error());
        co_return co_await follow();
      }
      case Stage::fetch:
        co_return co_await follow();
      case Stage::checking:
        stage_ = Stage::checked;
        co_return status_line("verifying sha256 digest");
      case Stage::checked: {
        Result<void> done = co_await finished();
        if (!done) co_return fail(done.error());
        stage_ = Stage::name;
        co_return status_line("writing manifest");
      }
      case Stage::name: {
        Result<void> named = co_await give_name();
        if (!named) co_return fail(named.error());
        stage_ = Stage::end;
        co_return status_line("success");
      }
      case Stage::end:
        break;
    }
    co_return std::optional<TransferLine>{};
  }

  [[nodiscard]] Pulls::World& world() { return state_->world; }
  [[nodiscard]] Task<Result<void>> resolve();
  [[nodiscard]] Result<void> choose(const std::vector<artifact::SignedRecord>& records);
  [[nodiscard]] Task<Result<std::optional<TransferLine>>> follow();
  [[nodiscard]] Task<Result<void>> finished();
  [[nodiscard]] Task<Result<void>> give_name();
  [[nodiscard]] Sha256 shown() const;

  std::shared_ptr<Pulls::State> state_;
  PullSpec spec_;
  Stage stage_ = Stage::begin;
  std::optional<job::ArtifactRef> content_;  // as a publisher says
  ArtifactId id_;
  std::optional<artifact::Pin> pin_;
  std::unique_ptr<artifact::Fetcher::Ticket> ticket_;
  artifact::FetchProgress at_;
  std::optional<job::ArtifactRef> done_;  // as it came
  std::optional<Instant> told_at_;
  bool fresh_ = false;  // it came now, and was not here
};

/// What is to be fetched, and from whom.
Task<Result<void>> Pull::resolve() {
  artifact::Names asked;
  std::string key;
  artifact::SearchLimits limits;
  if (spec_.name) {
    asked.name = spec_.name->text();
    key = artifact::name_key(asked.name);
  } else if (spec_.id) {
    asked.id = spec_.id;
    key = mesh::model_key(Sha256{spec_.id->value});
    limits.search_max = kNameOfContentMax;
  } else {
    PHASE_CO_TRY(asked.sha256, Sha256::from_hex_text(spec_.digest_prefix));
  }
  const artifact::SearchWorld place{world().clock, world().executor, *world().peers};
  const artifact::Names wanted = asked;
  std::vector<artifact::SignedRecord> records =
      co_await artifact::search_names(place, std::move(asked), std::move(key), limits);
  if (state_->closed) co_return fail(stopping());
  const UtcTime now = world().clock.now_utc();
  const auto remembered = world().book.remember(records, now);
  if (!remembered) world().log.warn("{}", printable(remembered.error().text()));
  if (const auto known = world().book.records(wanted, now)) {
    records.insert(records.end(), known->begin(), known->end());
  }
  PHASE_CO_TRY_VOID(choose(artifact::newest(std::move(records))));
  std::error_code error;
  if (content_ && fs::exists(world().store.blob_path(content_->sha256), error)) {
    done_ = content_;
    co_return Result<void>{};
  }
  std::vector<identity::PublicKey> known;
  for (const auto& record :
       world().book.records(wanted, now).value_or(std::vector<artifact::SignedRecord>{})) {
    if (record.record.content.id == id_ && record.publisher != world().key.public_key()) {
      known.push_back(record.publisher);
    }
  }
  std::string where = mesh::model_key(Sha256{id_.value});
  auto ticket = world().fetcher->fetch(id_, std::move(where), std::move(known));
  if (!ticket) co_return fail(ticket.error());
  ticket_ = *std::move(ticket);
  co_return Result<void>{};
}

Result<void> Pull::choose(const std::vector<artifact::SignedRecord>& records) {
  if (spec_.id) {
    id_ = *spec_.id;
    if (!records.empty()) {
      content_ = records.front().record.content;
      spec_.name = ModelName::parse(records.front().record.name)
                       .map([](ModelName name) { return std::optional(std::move(name)); })
                       .value_or(std::nullopt);
    }
    return {};
  }
  const std::string name = spec_.name ? spec_.name->text() : spec_.as_written;
  if (spec_.name) {
    PHASE_TRY(pin_, world().book.pin_of(name));
  }
  PHASE_TRY(content_, artifact::choose(name, records, pin_, spec_.digest_prefix));
  id_ = content_->id;
  if (spec_.name) return {};
  const auto of_it = std::ranges::find_if(
      records, [this](const auto& one) { return one.record.content == *content_; });
  if (const auto found = ModelName::parse(of_it->record.name)) spec_.name = *found;
  return {};
}

Sha256 Pull::shown() const {
  if (done_) return done_->sha256;
  if (content_) return content_->sha256;
  return at_.told_sha256.value_or(Sha256{id_.value});
}

/// The next line about the layer.
Task<Result<std::optional<TransferLine>>> Pull::follow() {
  stage_ = Stage::fetch;
  while (!done_) {
    Result<artifact::FetchProgress> at = co_await ticket_->next();
    if (state_->closed) co_return fail(stopping());
    if (!at) co_return fail(at.error());
    at_ = *std::move(at);
    done_ = at_.content;
    fresh_ = done_.has_value();
    if (at_.checking || done_) break;
    const Instant now = world().clock.now();
    if (!at_.total || (told_at_ && now - *told_at_ < kLinePause)) continue;
    told_at_ = now;
    co_return layer_line("pulling", shown(), *at_.total, at_.held);
  }
  stage_ = Stage::checking;
  const std::uint64_t total = done_ ? done_->length : at_.total.value_or(0);
  co_return layer_line("pulling", shown(), total, total);
}

Task<Result<void>> Pull::finished() {
  while (!done_) {
    Result<artifact::FetchProgress> at = co_await ticket_->next();
    if (state_->closed) co_return fail(stopping());
    if (!at) co_return fail(at.error());
    done_ = at->content;
    fresh_ = done_.has_value();
  }
  ticket_.reset();
  if (content_ && *content_ != *done_) {
    std::error_code error;
    fs::remove(world().store.blob_path(done_->sha256), error);
    co_return fail(Code::verification_failed,
                   "digest mismatch: the bytes are sha256:" + done_->sha256.hex() +
                       ", their publisher's record says sha256:" + content_->sha256.hex(),
                   "pull it by a name of another publisher");
  }
  co_return Result<void>{};
}

Task<Result<void>> Pull::give_name() {
  ModelName name;
  if (spec_.name) {
    name = *spec_.name;
  } else {
    name.name = "sha256-" + done_->sha256.hex().substr(0, kDigestShown);
  }
  const std::string text = name.text();
  ModelName given = name;
  std::string digest = done_->sha256.hex();
  ModelRecipe plain;
  // What was here before is what its file says, not what a publisher says of it.
  const std::optional<job::ArtifactRef> came = fresh_ ? done_ : std::nullopt;
  Result<void> named =
      co_await world().catalog.name(std::move(given), std::move(digest), std::move(plain), came);
  if (state_->closed) co_return fail(stopping());
  if (!named) {
    std::error_code error;
    const bool no_model =
        named.error().code == Code::malformed || named.error().code == Code::invalid_argument;
    if (fresh_ && no_model) fs::remove(world().store.blob_path(done_->sha256), error);
    co_return fail(named.error());
  }
  const bool by_digest = !spec_.digest_prefix.empty() || spec_.id;
  if (!pin_ || by_digest) {
    const auto pinned = world().book.pin(
        {text, done_->sha256, done_->id, std::nullopt, by_digest, world().clock.now_utc()});
    if (!pinned) co_return fail(pinned.error());
    world().log.info("{} is pinned to sha256:{}", text, done_->sha256.hex());
  }
  if (world().changed) world().changed();
  co_return Result<void>{};
}

}  // namespace

Pulls::Pulls(World world) : state_(std::make_shared<State>(std::move(world))) {}

Pulls::~Pulls() {
  state_->closed = true;
}

Task<Result<std::unique_ptr<Transfer>>> Pulls::pull(std::string text) {
  const auto state = state_;
  PHASE_CO_TRY(PullSpec spec, PullSpec::parse(text));
  LocalModelPtr here;
  if (spec.name) {
    ModelName name = *spec.name;
    here = co_await state->world.catalog.find(std::move(name));
  } else if (spec.id) {
    here = state->world.catalog.by_content(*spec.id);
  }
  if (state->closed) co_return fail(stopping());
  if (here != nullptr && here->content.sha256.hex().starts_with(spec.digest_prefix)) {
    // Here already: said as a pull that had nothing to do.
    const auto& content = here->content;
    co_return told_lines({status_line("pulling manifest"),
                          layer_line("pulling", content.sha256, content.length, content.length),
                          status_line("verifying sha256 digest"), status_line("writing manifest"),
                          status_line("success")});
  }
  if (state->world.fetcher == nullptr) {
    co_return fail(Code::not_found, "pull model manifest: nobody here serves " + spec.as_written,
                   "this node stays off the network: put a GGUF file into the model folder, or "
                   "create it from an uploaded file");
  }
  std::unique_ptr<Transfer> out = std::make_unique<Pull>(state, std::move(spec));
  co_return out;
}

Result<std::unique_ptr<Transfer>> Pulls::push(const LocalModelPtr& model) {
  World& world = state_->world;
  if (model->is_echo()) return fail(Code::unsupported, "echo has no weights to share");
  if (world.fetcher == nullptr) {
    return fail(Code::unsupported, "this node stays off the network: nobody could fetch it",
                "start lucidd without --no-network");
  }
  const std::string name = model->name.text();
  PHASE_TRY_VOID(world.book.share(name));
  if (world.changed) world.changed();
  const auto& content = model->content;
  std::vector<TransferLine> lines{
      status_line("retrieving manifest"),
      layer_line("pushing", content.sha256, content.length, std::nullopt),
      layer_line("pushing", content.sha256, content.length, content.length),
      status_line("pushing manifest")};
  if (!world.sharing.reaches_others()) {
    lines.push_back(status_line(
        "shared from this machine; the policy lets nobody fetch yet: share_with_anybody, or "
        "authorized_submitters"));
  }
  lines.push_back(status_line("success"));
  return told_lines(std::move(lines));
}

}  // namespace phase::lucid
