// sharing.h — which models' weights others may fetch from this node, and what it says of their
// names. Implements artifact::Library by the operator's policy and what was pushed.
//
// Belongs to one executor. Reads small files.
#pragma once

#include <map>
#include <set>

#include "artifact/name_book.h"
#include "artifact/server.h"
#include "lucid/gate.h"

namespace phase::lucid {

/// A record signed here stands that long, and is signed anew after half of it.
inline constexpr std::uint64_t kRecordLifeMs = 86'400'000;

class Sharing final : public artifact::Library {
 public:
  struct World {
    Clock& clock;
    const identity::KeyPair& key;
    Catalog& catalog;
    Gate& gate;
    artifact::NameBook& book;
    spdlog::logger& log;
  };
  explicit Sharing(World world) : world_(world) {}

  [[nodiscard]] Result<Item> open(const ArtifactId& id, const identity::PublicKey& who) override;
  [[nodiscard]] std::vector<Bytes> records(const artifact::Names& asked,
                                           const identity::PublicKey& who) override;

  /// Models that are shared now, whoever may fetch them.
  [[nodiscard]] std::vector<LocalModelPtr> shared();
  /// True when somebody else may fetch anything.
  [[nodiscard]] bool reaches_others() const;

 private:
  [[nodiscard]] bool may(const identity::PublicKey& who) const;
  void read_pushed();
  [[nodiscard]] bool is_shared(const LocalModel& model) const;
  [[nodiscard]] const Bytes& record_of(const LocalModel& model);

  World world_;
  std::set<std::string> pushed_;  // as the file says at each question: a command may change it
  std::map<std::string, artifact::SignedRecord> signed_;  // by name
};

}  // namespace phase::lucid
