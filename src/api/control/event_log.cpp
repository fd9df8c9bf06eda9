#include "api/control/event_log.h"

#include <algorithm>
#include <utility>

namespace phase::control {
namespace {

constexpr std::size_t kRecordHeadBytes = 8 + 1 + 4;

void put_big_endian(Bytes& out, std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

std::uint64_t big_endian(ByteView bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) {
    value = value << 8 | byte;
  }
  return value;
}

}  // namespace

EventLog::~EventLog() {
  budget_->used -= charged_;
}

bool EventLog::charge(std::size_t bytes) {
  if (bytes > budget_->max - std::min(budget_->max, budget_->used)) {
    return false;
  }
  budget_->used += bytes;
  charged_ += bytes;
  return true;
}

bool EventLog::add_output(job::OutputStream stream, ByteView bytes) {
  if (!entries_.empty()) {
    Entry& last = entries_.back();
    const bool joins = last.name == "output" && last.stream == stream && last.id > shown_ &&
                       last.output.size() + bytes.size() <= kOutputEventBytes;
    if (joins) {
      if (!charge(bytes.size())) {
        return false;
      }
      last.output.insert(last.output.end(), bytes.begin(), bytes.end());
      output_bytes_ += bytes.size();
      return true;
    }
  }
  return restore_output(last_id_ + 1, stream, to_bytes(bytes));
}

bool EventLog::restore_output(std::uint64_t id, job::OutputStream stream, Bytes bytes) {
  if (!charge(bytes.size() + kEntryCost)) {
    return false;
  }
  output_bytes_ += bytes.size();
  last_id_ = id;
  entries_.push_back({id, "output", stream, std::move(bytes), {}});
  return true;
}

void EventLog::add(std::string_view name, std::string json) {
  restore(last_id_ + 1, name, std::move(json));
}

void EventLog::restore(std::uint64_t id, std::string_view name, std::string json) {
  // Notices are few and small (JobBookLimits::notices_max): they are counted, never refused.
  budget_->used += json.size() + kEntryCost;
  charged_ += json.size() + kEntryCost;
  last_id_ = id;
  entries_.push_back({id, name, job::OutputStream::out, {}, std::move(json)});
}

void EventLog::restart() {
  std::uint64_t freed = 0;
  std::erase_if(entries_, [&freed](const Entry& entry) {
    const bool is_output = entry.name == "output";
    freed += is_output ? entry.output.size() + kEntryCost : 0;
    return is_output;
  });
  budget_->used -= freed;
  charged_ -= freed;
  output_bytes_ = 0;
  add("restart", "{}");
}

const EventLog::Entry* EventLog::next(std::uint64_t after) {
  const auto at = std::ranges::upper_bound(entries_, after, {}, &Entry::id);
  if (at == entries_.end()) {
    return nullptr;
  }
  shown_ = std::max(shown_, at->id);
  return &*at;
}

Bytes encode_outputs(const std::deque<EventLog::Entry>& entries) {
  Bytes out;
  for (const EventLog::Entry& entry : entries) {
    if (entry.name != "output") {
      continue;
    }
    put_big_endian(out, entry.id, 8);
    out.push_back(static_cast<std::uint8_t>(entry.stream));
    put_big_endian(out, entry.output.size(), 4);
    out.insert(out.end(), entry.output.begin(), entry.output.end());
  }
  return out;
}

Result<void> decode_outputs(ByteView bytes, EventLog& log) {
  while (!bytes.empty()) {
    if (bytes.size() < kRecordHeadBytes) {
      return fail(Code::malformed, "a kept transcript ends inside a record");
    }
    const std::uint64_t id = big_endian(bytes.first(8));
    const std::uint8_t stream = bytes[8];
    const std::uint64_t length = big_endian(bytes.subspan(9, 4));
    bytes = bytes.subspan(kRecordHeadBytes);
    if (length > bytes.size() || id <= log.last_id() || (stream != 1 && stream != 2)) {
      return fail(Code::malformed, "a kept transcript has a bad record");
    }
    if (!log.restore_output(id, job::OutputStream{stream}, to_bytes(bytes.first(length)))) {
      return fail(Code::busy, "too much output of jobs is in memory", "try again");
    }
    bytes = bytes.subspan(length);
  }
  return {};
}

}  // namespace phase::control
