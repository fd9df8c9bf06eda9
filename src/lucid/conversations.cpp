#include "lucid/conversations.h"

#include <algorithm>

#include <boost/json.hpp>

namespace phase::lucid {
namespace {

namespace json = boost::json;

/// As prompts may be (spec/inference.md §1).
constexpr std::size_t kPromptDepthMax = 64;

Sha256 hash_of(const Sha256& before, std::string_view text) {
  Sha256Stream hash;
  hash.update(before.value);
  hash.update(as_bytes(text));
  return hash.finish();
}

json::array messages_of(ByteView prompt) {
  if (prompt.size() > kRecognisedBytesMax) return {};
  json::parse_options options;
  options.max_depth = kPromptDepthMax;
  boost::system::error_code error;
  json::value document = json::parse(as_text(prompt), error, {}, options);
  if (error || !document.is_object()) return {};
  json::value* messages = document.as_object().if_contains("messages");
  if (messages == nullptr || !messages->is_array()) return {};
  return std::move(messages->as_array());
}

}  // namespace

ConversationKeys conversation_keys(const ArtifactId& model, const Ask& ask) {
  ConversationKeys out;
  const Sha256 root = hash_of(Sha256{model.value}, "messages");
  if (!ask.conversation.empty()) {
    out.named = hash_of(Sha256{model.value}, "named " + ask.conversation);
  }
  if (ask.prompt_kind != static_cast<std::uint8_t>(job::PromptKind::request)) return out;
  Sha256 last = root;
  for (const json::value& message : messages_of(ask.prompt)) {
    last = hash_of(last, json::serialize(message));
    out.beginnings.push_back(last);
  }
  std::ranges::reverse(out.beginnings);
  if (out.beginnings.size() > kTurnsBackMax + 1) out.beginnings.resize(kTurnsBackMax + 1);
  return out;
}

std::optional<identity::PublicKey> Conversations::find(const ConversationKeys& keys) const {
  if (keys.named) {
    const auto found = places_.find(*keys.named);
    if (found != places_.end()) return found->second->provider;
  }
  for (const Sha256& key : keys.beginnings) {
    const auto found = places_.find(key);
    if (found != places_.end()) return found->second->provider;
  }
  return std::nullopt;
}

void Conversations::put(const Sha256& key, const identity::PublicKey& provider) {
  const auto found = places_.find(key);
  if (found != places_.end()) {
    entries_.erase(found->second);
    places_.erase(found);
  }
  entries_.push_front({key, provider});
  places_[key] = entries_.begin();
  if (entries_.size() > kConversationsMax) {
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

void Conversations::remember(const ConversationKeys& keys, const identity::PublicKey& provider) {
  if (keys.named) put(*keys.named, provider);
  if (!keys.beginnings.empty()) put(keys.beginnings.front(), provider);
}

}  // namespace phase::lucid
