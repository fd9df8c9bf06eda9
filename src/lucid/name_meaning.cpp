#include "lucid/name_meaning.h"

#include <algorithm>
#include <map>

namespace phase::lucid {
namespace {

constexpr std::size_t kDigestShown = 12;
/// Contents and providers that a message lists.
constexpr std::size_t kListedMax = 8;

using Records = std::vector<artifact::SignedRecord>;
/// Contents, each with those who say that the name means it.
using Said = std::map<ArtifactId, std::vector<identity::PublicKey>>;

Said said_of(const std::string& name, const std::vector<requester::Candidate>& offers) {
  Said out;
  for (const requester::Candidate& offer : offers) {
    const offer::Capabilities& has = offer.capabilities;
    for (std::size_t i = 0; i < std::min(has.models.size(), has.model_names.size()); ++i) {
      const auto theirs = ModelName::parse(has.model_names[i]);
      if (!theirs || theirs->text() != name) continue;
      auto& by = out[ArtifactId{has.models[i].value}];
      if (std::ranges::find(by, offer.key) == by.end()) by.push_back(offer.key);
    }
  }
  return out;
}

/// "sha256:0123456789ab" where a publisher signed it, else "artifact:0123456789ab".
std::string shown(const ArtifactId& id, const Records& records) {
  const auto found =
      std::ranges::find(records, id, [](const auto& one) { return one.record.content.id; });
  if (found == records.end()) return "artifact:" + id.hex().substr(0, kDigestShown);
  return "sha256:" + found->record.content.sha256.hex().substr(0, kDigestShown);
}

std::string listed(const Said& said, const Records& records) {
  std::string out;
  std::size_t count = 0;
  for (const auto& [id, by] : said) {
    if (count++ == kListedMax) return out + "; and others";
    out += (out.empty() ? "" : "; ") + shown(id, records) + " by ";
    for (std::size_t i = 0; i < std::min(by.size(), kListedMax); ++i) {
      out += (i == 0 ? "" : ", ") + identity::PeerId::from(by[i]).text();
    }
  }
  return out;
}

std::string way_out(const std::string& name) {
  return "choose one: lucidd pin " + name + " --publisher PEERID, or lucidd pin " + name +
         " sha256:<64 digits>, or ask for " + name + "@sha256:<12 or more digits>";
}

bool offered(const ArtifactId& id, const std::vector<requester::Candidate>& offers) {
  return std::ranges::any_of(offers, [&id](const requester::Candidate& offer) {
    return std::ranges::find(offer.capabilities.models, Sha256{id.value}) !=
           offer.capabilities.models.end();
  });
}

/// The one content whose digest begins so and that somebody runs, under whatever name.
Result<ArtifactId> of_digest(const PullSpec& asked, const Said& said,
                             const std::vector<requester::Candidate>& offers,
                             const Records& records) {
  Said fitting;
  for (const artifact::SignedRecord& one : records) {
    const job::ArtifactRef& content = one.record.content;
    if (!content.sha256.hex().starts_with(asked.digest_prefix)) continue;
    if (offered(content.id, offers)) fitting[content.id].push_back(one.publisher);
  }
  if (fitting.size() == 1) return fitting.begin()->first;
  const std::string name = asked.name->text();
  if (fitting.empty()) {
    return fail(Code::not_found,
                "no peer serves " + asked.as_written +
                    (said.empty() ? "" : "; under that name there is " + listed(said, records)),
                "who does not share a model's file signs no digest of it: lucidd pin " + name +
                    " --publisher PEERID chooses whom to trust");
  }
  return fail(Code::already_exists,
              "conflict: " + asked.as_written + " is the beginning of " + listed(fitting, records),
              "write more digits");
}

Result<ArtifactId> of_pin(const artifact::Pin& pin, const Said& said, const Records& records) {
  Said left;
  std::optional<ArtifactId> held_to = pin.id;
  for (const artifact::SignedRecord& one : records) {
    const bool says = pin.sha256 ? one.record.content.sha256 == *pin.sha256
                                 : pin.publisher && one.publisher == *pin.publisher;
    if (says) held_to = one.record.content.id;
  }
  for (const auto& [id, by] : said) {
    if (pin.publisher && std::ranges::find(by, *pin.publisher) != by.end()) left.emplace(id, by);
  }
  if (left.empty() && held_to && said.contains(*held_to)) return *held_to;
  if (left.size() == 1) return left.begin()->first;
  const std::string to = pin.sha256 ? "sha256:" + pin.sha256->hex().substr(0, kDigestShown)
                                    : identity::PeerId::from(*pin.publisher).text();
  return fail(
      Code::already_exists,
      "conflict: " + pin.name + " is pinned to " + to +
          (pin.by_operator ? "" : " by its first use") + ", and those who serve it now say " +
          listed(said, records),
      "lucidd names " + pin.name + " shows what is known; lucidd unpin " + pin.name + " lets go");
}

}  // namespace

Result<ArtifactId> meaning_of(const PullSpec& asked,
                              const std::vector<requester::Candidate>& offers,
                              const std::optional<artifact::Pin>& pin, const Records& records) {
  const std::string name = asked.name->text();
  const Said said = said_of(name, offers);
  if (!asked.digest_prefix.empty()) return of_digest(asked, said, offers, records);
  if (said.empty()) {
    return fail(Code::not_found, "no peers serving model '" + name + "'",
                "start a lucidd that has it and lets you, or put it into the model folder");
  }
  if (pin) return of_pin(*pin, said, records);
  if (said.size() == 1) return said.begin()->first;
  return fail(Code::already_exists,
              "conflict: " + name + " means different contents: " + listed(said, records),
              way_out(name));
}

}  // namespace phase::lucid
