// conversations.h — which provider answered a conversation last, so that its next turn goes where
// its prefix is computed already.
//
// A conversation is what its client names so, or messages that begin like those of an earlier ask.
// Names stay in this node: a provider keeps what it computed apart by who signed the job, and hears
// of no conversation. Pure values, bounded; belongs to whoever holds it.
#pragma once

#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "identity/identity.h"
#include "lucid/answer.h"

namespace phase::lucid {

/// Remembered at once; the one unused longest goes first.
inline constexpr std::size_t kConversationsMax = 4'096;
/// Prompts above this are known by their name only.
inline constexpr std::size_t kRecognisedBytesMax = 1_MiB;
/// An ask may be so many messages longer than the one it continues.
inline constexpr std::size_t kTurnsBackMax = 16;

/// Under which an ask is looked for and remembered.
struct ConversationKeys {
  std::optional<Sha256> named;
  /// Of all messages, of all but the last, and so on; at most kTurnsBackMax + 1.
  std::vector<Sha256> beginnings;
};
[[nodiscard]] ConversationKeys conversation_keys(const ArtifactId& model, const Ask& ask);

class Conversations {
 public:
  /// Who answered it last: by its name, else by the longest beginning.
  [[nodiscard]] std::optional<identity::PublicKey> find(const ConversationKeys& keys) const;
  void remember(const ConversationKeys& keys, const identity::PublicKey& provider);
  [[nodiscard]] std::size_t size() const noexcept { return places_.size(); }

 private:
  struct Entry {
    Sha256 key;
    identity::PublicKey provider;
  };
  void put(const Sha256& key, const identity::PublicKey& provider);

  std::list<Entry> entries_;  // the newest first
  std::unordered_map<Sha256, std::list<Entry>::iterator, HashHasher> places_;
};

}  // namespace phase::lucid
