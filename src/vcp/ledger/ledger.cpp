#include "vcp/ledger/ledger.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/cbor.h"
#include "base/check.h"

namespace phase::vcp {
namespace {

constexpr std::array<std::string_view, 8> kKinds = {"",       "grant", "bond",   "unbond",
                                                    "escrow", "pay",   "refund", "slash"};

std::string account(std::string_view kind, std::string_view id) {
  std::string out(kind);
  out += ':';
  out += id;
  return out;
}

}  // namespace

std::string_view transfer_kind_name(TransferKind kind) noexcept {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::optional<TransferKind> transfer_kind_of(std::string_view name) noexcept {
  const auto found = std::find(kKinds.begin() + 1, kKinds.end(), name);
  if (found == kKinds.end()) return std::nullopt;
  return static_cast<TransferKind>(found - kKinds.begin());
}

std::string user_account(const UserId& user) {
  return account("user", user);
}
std::string node_account(const NodeName& node) {
  return account("node", node);
}
std::string bond_account(const NodeName& node) {
  return account("bond", node);
}
std::string escrow_account(const TaskId& task) {
  return account("escrow", task);
}

Sha256 entry_hash(const Entry& entry) {
  CborWriter writer;
  writer.array(9);
  writer.text("phase/ledger/1");
  writer.uint(entry.sequence).uint(entry.at.unix_ms);
  writer.uint(static_cast<std::uint64_t>(entry.transfer.kind));
  writer.text(entry.transfer.from).text(entry.transfer.to);
  writer.uint(entry.transfer.amount).text(entry.transfer.reference);
  writer.bytes(entry.previous.value);
  return sha256(writer.view());
}

Result<void> Book::check(const Transfer& transfer) const {
  if (transfer.amount == 0 || transfer.from == transfer.to) {
    return fail(Code::invalid_argument, "a transfer of nothing, or to the account it comes from");
  }
  if (transfer.from == kMint) {
    if (transfer.amount > kGrantedMax - granted_) {
      return fail(Code::busy, "the coordinator has granted all it may");
    }
    return {};
  }
  const Credits held = balance(transfer.from);
  if (held < transfer.amount) {
    return fail(Code::busy, transfer.from + " holds " + std::to_string(held) + " credits and " +
                                std::to_string(transfer.amount) + " are needed");
  }
  return {};
}

void Book::move(const Transfer& transfer) {
  if (transfer.from == kMint) {
    granted_ += transfer.amount;
  } else {
    const auto from = balances_.find(transfer.from);
    PHASE_CHECK(from != balances_.end() && from->second >= transfer.amount);
    from->second -= transfer.amount;
    if (from->second == 0) balances_.erase(from);
  }
  balances_[transfer.to] += transfer.amount;
}

Result<Entry> Book::apply(Transfer transfer, UtcTime now) {
  PHASE_TRY_VOID(check(transfer));
  Entry entry{sequence_ + 1, now, std::move(transfer), head_, {}};
  entry.hash = entry_hash(entry);
  move(entry.transfer);
  sequence_ = entry.sequence;
  head_ = entry.hash;
  return entry;
}

Result<void> Book::take(const Entry& entry) {
  const auto wrong = [&](std::string_view what) {
    return fail(Code::malformed,
                "ledger entry " + std::to_string(entry.sequence) + ": " + std::string(what));
  };
  if (entry.sequence != sequence_ + 1) return wrong("its number does not follow the one before");
  if (entry.previous != head_) return wrong("it does not hold the hash of the entry before");
  if (entry.hash != entry_hash(entry)) return wrong("its hash is not that of what it says");
  PHASE_TRY_VOID(check(entry.transfer));
  move(entry.transfer);
  sequence_ = entry.sequence;
  head_ = entry.hash;
  return {};
}

Credits Book::balance(std::string_view name) const {
  const auto found = balances_.find(name);
  return found == balances_.end() ? 0 : found->second;
}

Credits Book::sum() const {
  Credits out = 0;
  for (const auto& [name, held] : balances_) out += held;
  return out;
}

std::optional<std::uint64_t> comparable_fuel(std::span<const std::uint64_t> said,
                                             std::optional<std::uint64_t> own) {
  if (own) return own;
  std::map<std::uint64_t, std::size_t> counts;
  for (const std::uint64_t fuel : said) ++counts[fuel];
  std::optional<std::uint64_t> best;
  std::size_t votes = 1;
  for (const auto& [fuel, count] : counts) {
    if (count > votes) {
      best = fuel;
      votes = count;
    }
  }
  return best;
}

Credits run_price(Credits bid, std::uint32_t quorum, std::optional<std::uint64_t> fuel) {
  PHASE_CHECK(quorum > 0);
  const Credits share = bid / quorum;
  const Credits fuel_credits =
      fuel ? *fuel / kFuelPerCredit + (*fuel % kFuelPerCredit != 0 ? 1 : 0) : 0;
  return std::min(share, kRunCredits + fuel_credits);
}

Credits usual_bid(std::uint32_t quorum, std::uint64_t fuel_limit) {
  const Credits per_run =
      kRunCredits + fuel_limit / kFuelPerCredit + (fuel_limit % kFuelPerCredit != 0 ? 1 : 0);
  return per_run * quorum;
}

}  // namespace phase::vcp
