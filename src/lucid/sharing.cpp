#include "lucid/sharing.h"

#include <algorithm>

namespace phase::lucid {

bool Sharing::may(const identity::PublicKey& who) const {
  const OperatorPolicy& policy = world_.gate.policy();
  if (who == world_.key.public_key() || policy.share_with_anybody ||
      policy.allow_unauthenticated_jobs) {
    return true;
  }
  const auto& list = policy.authorized_submitters;
  return std::ranges::find(list, who) != list.end();
}

bool Sharing::reaches_others() const {
  const OperatorPolicy& policy = world_.gate.policy();
  return policy.share_with_anybody || policy.allow_unauthenticated_jobs ||
         !policy.authorized_submitters.empty();
}

void Sharing::read_pushed() {
  pushed_.clear();  // what cannot be read shares nothing
  const auto names = world_.book.shared();
  if (names) {
    pushed_.insert(names->begin(), names->end());
  } else {
    world_.log.warn("{}", printable(names.error().text()));
  }
}

bool Sharing::is_shared(const LocalModel& model) const {
  if (model.is_echo()) return false;
  const std::string name = model.name.text();
  const auto fits = [&](const std::string& glob) {
    return glob_matches(glob, name) || glob_matches(glob, model.name.name);
  };
  return std::ranges::any_of(world_.gate.policy().share_models, fits) || pushed_.contains(name);
}

std::vector<LocalModelPtr> Sharing::shared() {
  read_pushed();
  std::vector<LocalModelPtr> out = world_.catalog.list();
  std::erase_if(out, [this](const LocalModelPtr& model) { return !is_shared(*model); });
  return out;
}

Result<Sharing::Item> Sharing::open(const ArtifactId& id, const identity::PublicKey& who) {
  const bool own = who == world_.key.public_key();
  // Who may not is told the same as when it is not here.
  const auto nothing = [] { return fail(Code::not_found, "no such artifact for you"); };
  if (!may(who)) return nothing();
  read_pushed();
  const std::vector<LocalModelPtr> all = world_.catalog.list();
  const auto found = std::ranges::find_if(all, [&](const LocalModelPtr& model) {
    return model->content.id == id && (own || is_shared(*model));
  });
  if (found == all.end()) return nothing();
  const auto why = world_.gate.paused();
  if (!own && why && *why != "concurrency limit reached") {
    return fail(Code::busy, "this node shares nothing now: " + *why);
  }
  PHASE_TRY(FileDescriptor file, world_.catalog.open_weights(**found));
  return Item{(*found)->content, std::move(file)};
}

const Bytes& Sharing::record_of(const LocalModel& model) {
  const std::string name = model.name.text();
  const UtcTime now = world_.clock.now_utc();
  const auto known = signed_.find(name);
  if (known != signed_.end() && known->second.record.content == model.content &&
      now.unix_ms + kRecordLifeMs / 2 < known->second.record.expires.unix_ms) {
    return known->second.envelope;
  }
  artifact::NameRecord record;
  record.name = name;
  record.content = model.content;
  record.created = now;
  record.expires = {now.unix_ms + kRecordLifeMs};
  if (signed_.size() >= kModelsMax) signed_.clear();
  auto& kept = signed_[name];
  kept = artifact::sign(record, world_.key);
  return kept.envelope;
}

std::vector<Bytes> Sharing::records(const artifact::Names& asked, const identity::PublicKey& who) {
  std::vector<Bytes> out;
  if (!may(who)) return out;
  read_pushed();
  for (const LocalModelPtr& model : world_.catalog.list()) {
    if (out.size() >= artifact::kRecordsPerAnswerMax) return out;
    artifact::NameRecord means;
    means.name = model->name.text();
    means.content = model->content;
    if (artifact::fits(means, asked) && is_shared(*model)) out.push_back(record_of(*model));
  }
  // What others said is passed on as it came: its signer answers for it.
  const auto heard = world_.book.records(asked, world_.clock.now_utc());
  if (!heard) return out;
  for (const artifact::SignedRecord& record : *heard) {
    if (out.size() >= artifact::kRecordsPerAnswerMax) break;
    if (record.publisher != world_.key.public_key()) out.push_back(record.envelope);
  }
  return out;
}

}  // namespace phase::lucid
