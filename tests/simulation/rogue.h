// rogue.h — providers that do wrong: a real provider behind somebody who changes what it says.
#pragma once

#include <string_view>

#include "tests/simulation/world.h"

namespace phase::simulation {

/// What the somebody does. `none` only passes on.
enum class Lie : std::uint8_t {
  none,
  crash,               ///< goes away after a few frames
  alter_output,        ///< one bit of the output
  drop_output,         ///< a piece of it
  old_receipt,         ///< sends the receipt of the job before
  other_key,           ///< signs the receipt with another key
  stall,               ///< accepts, then says nothing, not even heartbeats
  beat_only,           ///< accepts, then only heartbeats
  flood,               ///< output without end
  progress_flood,      ///< progress without end
  cut_frame,           ///< ends the stream inside a frame
  huge_frame,          ///< declares a frame of 4 GiB
  out_of_order,        ///< output after the receipt
  other_job,           ///< accepts another job than offered
  false_checkpoint,    ///< a checkpoint, well signed, for other output
  foreign_checkpoint,  ///< a checkpoint signed by another key
  truncate_output,     ///< the last byte of every piece; the receipt says that all is well
  other_subject,       ///< a receipt, well signed, for another module or model
  mute,                ///< never answers the offer
  stall_midway,        ///< after the first output only heartbeats
  alter_late,          ///< one bit of each piece after the first honest checkpoint
  // With commit-reveal only, so not drawn by scenarios:
  other_commit,  ///< a commit, well signed, to something else
  no_commit,     ///< shows its output without one
};
inline constexpr std::size_t kLies = 21;
[[nodiscard]] std::string_view lie_name(Lie lie);
/// Nothing for a word that is no lie's name.
[[nodiscard]] std::optional<Lie> lie_named(std::string_view name);

/// Somebody between an honest provider and its requesters.
class Rogue {
 public:
  /// `honest` serves a stream as the provider of `key` does. All borrowed.
  Rogue(Clock& clock, Random& random, asio::any_io_executor executor, const identity::KeyPair& key,
        Lie lie, SimNetwork::Handler honest)
      : lie_(lie),
        clock_(clock),
        executor_(std::move(executor)),
        key_(key),
        honest_(std::move(honest)),
        other_key_(identity::KeyPair::generate(random)) {}

  [[nodiscard]] Task<void> serve(std::unique_ptr<ByteStream> stream, identity::PublicKey peer);

 private:
  /// What one stream remembers.
  struct Talk {
    std::unique_ptr<ByteStream> outside, inside;
    std::size_t frames = 0;
    manifest::JobId job_id;
    bool done = false;
    bool stated = false;  ///< an honest checkpoint went out
  };
  [[nodiscard]] Task<void> say_nothing(std::unique_ptr<ByteStream> stream);
  [[nodiscard]] Task<void> pass_in(std::shared_ptr<Talk> talk);
  [[nodiscard]] Task<bool> pass_out(std::shared_ptr<Talk> talk, offer::Frame frame);
  [[nodiscard]] Task<bool> misbehave(std::shared_ptr<Talk> talk);
  [[nodiscard]] Task<bool> repeat(std::shared_ptr<Talk> talk, offer::Frame frame, Duration pause);
  [[nodiscard]] offer::Frame bent_receipt(const offer::ReceiptFrame& honest);
  [[nodiscard]] offer::Frame checkpoint(const Talk& talk) const;
  [[nodiscard]] offer::Frame other_commit(const Talk& talk) const;

  Lie lie_;
  Clock& clock_;
  asio::any_io_executor executor_;
  const identity::KeyPair& key_;
  SimNetwork::Handler honest_;
  identity::KeyPair other_key_;
  Bytes first_receipt_;
};

/// A provider in memory, and somebody before it.
class RogueNode {
 public:
  RogueNode(Clock& clock, Random& random, asio::any_io_executor executor, Lie lie,
            provider::ProviderLimits limits = {})
      : node(clock, random, executor, limits),
        rogue_(clock, random, executor, node.key, lie, node.handler()) {}

  [[nodiscard]] SimNetwork::Handler handler();
  ProviderNode node;

 private:
  Rogue rogue_;
};

}  // namespace phase::simulation
