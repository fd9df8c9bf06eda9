#include "tests/simulation/rogue.h"

#include <algorithm>
#include <array>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace phase::simulation {
namespace {

constexpr std::array<std::string_view, kLies> kNames{"none",
                                                     "crash",
                                                     "alter_output",
                                                     "drop_output",
                                                     "old_receipt",
                                                     "other_key",
                                                     "stall",
                                                     "beat_only",
                                                     "flood",
                                                     "progress_flood",
                                                     "cut_frame",
                                                     "huge_frame",
                                                     "out_of_order",
                                                     "other_job",
                                                     "false_checkpoint",
                                                     "foreign_checkpoint",
                                                     "truncate_output",
                                                     "other_subject",
                                                     "mute",
                                                     "stall_midway",
                                                     "alter_late"};

Task<bool> say(ByteStream& stream, offer::Frame frame) {
  const Result<void> written = co_await offer::write_frame(stream, frame);
  co_return written.has_value();
}

}  // namespace

std::string_view lie_name(Lie lie) {
  const auto at = static_cast<std::size_t>(lie);
  return at < kNames.size() ? kNames[at] : "of a commit";
}

std::optional<Lie> lie_named(std::string_view name) {
  const auto* const found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Lie>(found - kNames.begin());
}

SimNetwork::Handler RogueNode::handler() {
  return [this](std::unique_ptr<ByteStream> stream, identity::PublicKey peer) {
    return rogue_.serve(std::move(stream), peer);
  };
}

/// Reads until the other side gives up.
Task<void> Rogue::say_nothing(std::unique_ptr<ByteStream> stream) {
  Bytes piece(8000);
  while (true) {
    const Result<std::size_t> n = co_await stream->read(piece);
    if (!n || *n == 0) co_return;
  }
}

Task<void> Rogue::serve(std::unique_ptr<ByteStream> stream, identity::PublicKey peer) {
  if (lie_ == Lie::mute) co_return co_await say_nothing(std::move(stream));
  MemoryStreamPair pair = make_memory_stream(executor_);
  auto talk = std::make_shared<Talk>();
  talk->outside = std::move(stream);
  talk->inside = std::move(pair.first);
  asio::co_spawn(executor_, honest_(std::move(pair.second), peer), asio::detached);
  asio::co_spawn(executor_, pass_in(talk), asio::detached);
  while (true) {
    Result<offer::Frame> frame = co_await offer::read_frame(*talk->inside);
    if (!frame) break;
    const bool last = std::holds_alternative<offer::End>(*frame);
    const bool goes_on = co_await pass_out(talk, std::move(*frame));
    if (!goes_on) break;
    if (last) {
      talk->outside->close_write();
      co_return;
    }
  }
  talk->inside->reset();
  if (!talk->done) talk->outside->reset();
}

Task<void> Rogue::pass_in(std::shared_ptr<Talk> talk) {
  Bytes piece(8000);
  while (true) {
    const Result<std::size_t> n = co_await talk->outside->read(piece);
    if (!n) {
      talk->inside->reset();
      co_return;
    }
    if (*n == 0) {
      talk->inside->close_write();
      co_return;
    }
    const ByteView bytes = ByteView(piece).first(*n);
    const Result<void> written = co_await talk->inside->write(bytes);
    // With the provider gone, what the requester sends goes nowhere: read on.
    if (!written && lie_ == Lie::crash) co_return;
  }
}

Task<bool> Rogue::pass_out(std::shared_ptr<Talk> talk, offer::Frame frame) {
  ++talk->frames;
  if (auto* yes = std::get_if<offer::Accepted>(&frame)) {
    talk->job_id = yes->job_id;
    if (lie_ == Lie::other_job) yes->job_id.value[0] ^= 1;
    const bool said = co_await say(*talk->outside, std::move(frame));
    if (!said) co_return false;
    const bool goes_on = co_await misbehave(talk);
    co_return goes_on;
  }
  if (lie_ == Lie::crash && talk->frames > 3) co_return false;
  if (auto* output = std::get_if<offer::Output>(&frame)) {
    const bool late = lie_ == Lie::alter_late && talk->stated;
    if (lie_ == Lie::alter_output || late) output->piece.data[0] ^= 1;
    if (lie_ == Lie::drop_output) co_return true;
    if (lie_ == Lie::truncate_output && output->piece.data.size() > 1) {
      output->piece.data.pop_back();
    }
    if (lie_ == Lie::stall_midway) {
      const bool said = co_await say(*talk->outside, std::move(frame));
      offer::Frame beat = offer::Heartbeat{};
      if (!said) co_return false;
      const bool goes_on = co_await repeat(talk, std::move(beat), 5s);
      co_return goes_on;
    }
  }
  if (std::holds_alternative<offer::CommitFrame>(frame)) {
    if (lie_ == Lie::other_commit) frame = other_commit(*talk);
    if (lie_ == Lie::no_commit) {
      offer::Output early;
      early.piece.data = {1};
      frame = std::move(early);
    }
  }
  talk->stated = talk->stated || std::holds_alternative<offer::CheckpointFrame>(frame);
  if (const auto* honest = std::get_if<offer::ReceiptFrame>(&frame)) {
    const bool point = lie_ == Lie::false_checkpoint || lie_ == Lie::foreign_checkpoint;
    if (point) {
      offer::Frame forged = checkpoint(*talk);
      co_await say(*talk->outside, std::move(forged));
    }
    offer::Frame bent = bent_receipt(*honest);
    const bool said = co_await say(*talk->outside, std::move(bent));
    if (lie_ == Lie::out_of_order) {
      offer::Output late;
      late.piece.data = {1};
      offer::Frame more = std::move(late);
      co_await say(*talk->outside, std::move(more));
    }
    co_return said;
  }
  const bool said = co_await say(*talk->outside, std::move(frame));
  co_return said;
}

Task<bool> Rogue::repeat(std::shared_ptr<Talk> talk, offer::Frame frame, Duration pause) {
  while (true) {
    offer::Frame again = frame;
    const bool said = co_await say(*talk->outside, std::move(again));
    if (!said) co_return false;
    if (pause > Duration{0}) static_cast<void>(co_await clock_.sleep_for(pause));
  }
}

Task<bool> Rogue::misbehave(std::shared_ptr<Talk> talk) {
  switch (lie_) {
    case Lie::stall: {
      static_cast<void>(co_await clock_.sleep_for(60s));
      co_return false;
    }
    case Lie::beat_only: {
      offer::Frame beat = offer::Heartbeat{};
      co_return co_await repeat(talk, std::move(beat), 5s);
    }
    case Lie::flood: {
      offer::Output output;
      output.piece.data.assign(offer::kDataBytesMax, 7);
      offer::Frame more = std::move(output);
      co_return co_await repeat(talk, std::move(more), Duration{0});
    }
    case Lie::progress_flood: {
      offer::Frame more = offer::Progress{};
      co_return co_await repeat(talk, std::move(more), Duration{0});
    }
    case Lie::cut_frame:
    case Lie::huge_frame: {
      const std::uint8_t top = lie_ == Lie::huge_frame ? 0xFF : 0x00;
      const Bytes head{top, 0, 0, 100, 8, 1, 'x'};
      static_cast<void>(co_await talk->outside->write(head));
      talk->outside->close_write();
      talk->done = true;
      co_return false;
    }
    default:
      co_return true;
  }
}

offer::Frame Rogue::bent_receipt(const offer::ReceiptFrame& honest) {
  offer::ReceiptFrame bent = honest;
  if (lie_ == Lie::old_receipt) {
    if (first_receipt_.empty()) first_receipt_ = honest.envelope;
    bent.envelope = first_receipt_;
  }
  if (lie_ == Lie::other_key) {
    const auto opened = receipt::open(honest.envelope);
    bent.envelope = receipt::sign(opened->receipt, other_key_).envelope;
  }
  if (lie_ == Lie::other_subject) {
    auto opened = receipt::open(honest.envelope);
    opened->receipt.subject_id.value[0] ^= 1;
    bent.envelope = receipt::sign(opened->receipt, key_).envelope;
  }
  return bent;
}

offer::Frame Rogue::other_commit(const Talk& talk) const {
  receipt::Commit commit;
  commit.job_id = talk.job_id;
  commit.value.value[0] = 1;
  offer::CommitFrame frame;
  frame.envelope = receipt::sign(commit, key_).envelope;
  return frame;
}

offer::Frame Rogue::checkpoint(const Talk& talk) const {
  job::OutputChain chain;
  const Bytes other(3, 9);
  chain.append(job::OutputStream::out, other);
  const receipt::Checkpoint point{talk.job_id, 0, chain.summary()};
  offer::CheckpointFrame frame;
  const identity::KeyPair& key = lie_ == Lie::foreign_checkpoint ? other_key_ : key_;
  frame.envelope = receipt::sign(point, key).envelope;
  return frame;
}

}  // namespace phase::simulation
