// ledger.h — credits of one coordinator: transfers between named accounts, chained by hashes.
//
// Double entry: every entry takes from one account what it gives to another, so the sum over all
// accounts is what was granted, always. The chain makes a change of any past entry visible to
// whoever kept a later hash. Pure: no clock, no disk; whoever applies an entry makes it durable.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/result.h"
#include "vcp/task/task.h"

namespace phase::vcp {

/// Why credits move. Wire names are the enumerators; values stand in hashes and are never reused.
enum class TransferKind : std::uint8_t {
  grant = 1,   ///< mint → user: once per user
  bond = 2,    ///< user → bond of a node
  unbond = 3,  ///< back, when the node is removed
  escrow = 4,  ///< user → escrow of a task: at submission
  pay = 5,     ///< escrow → node: once per verified run
  refund = 6,  ///< escrow → user: what is left at the end
  slash = 7,   ///< bond → treasury: a lie that was proven
};
[[nodiscard]] std::string_view transfer_kind_name(TransferKind kind) noexcept;
[[nodiscard]] std::optional<TransferKind> transfer_kind_of(std::string_view name) noexcept;

/// Accounts. Those of users, nodes, bonds and escrows never mix up: an id holds no colon.
inline constexpr std::string_view kMint = "mint";
inline constexpr std::string_view kTreasury = "treasury";
[[nodiscard]] std::string user_account(const UserId& user);
[[nodiscard]] std::string node_account(const NodeName& node);
[[nodiscard]] std::string bond_account(const NodeName& node);
[[nodiscard]] std::string escrow_account(const TaskId& task);

struct Transfer {
  TransferKind kind = TransferKind::grant;
  std::string from, to;
  Credits amount = 0;
  std::string reference;  ///< the task, node or user it is about
  friend bool operator==(const Transfer&, const Transfer&) = default;
};

struct Entry {
  std::uint64_t sequence = 0;  ///< counts from 1 without a gap
  UtcTime at;
  Transfer transfer;
  Sha256 previous;  ///< hash of the entry before; zeros for the first
  Sha256 hash;      ///< over all of the above (spec/ledger.md)
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// The hash an entry must have.
[[nodiscard]] Sha256 entry_hash(const Entry& entry);
/// One line of an export, without the line's end.
[[nodiscard]] std::string entry_json(const Entry& entry);
inline constexpr std::size_t kEntryLineBytesMax = 2'048;
/// Errors: Code::malformed naming the field.
[[nodiscard]] Result<Entry> parse_entry(std::string_view line);

/// The most that may ever be granted; sums of balances stay far from 2^64.
inline constexpr Credits kGrantedMax = 1ULL << 60;

/// Balances and the head of the chain.
class Book {
 public:
  /// Makes the next entry and applies it. Errors: Code::busy (the account does not hold so much;
  /// the message names both figures), Code::invalid_argument (an amount of zero, one account
  /// twice).
  [[nodiscard]] Result<Entry> apply(Transfer transfer, UtcTime now);
  /// Applies an entry that stands already, of a file or an export.
  /// Errors: Code::malformed (sequence, chain, hash), Code::busy (a balance below zero).
  [[nodiscard]] Result<void> take(const Entry& entry);
  /// Zero for an unknown account.
  [[nodiscard]] Credits balance(std::string_view account) const;
  [[nodiscard]] Credits granted() const noexcept { return granted_; }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] const Sha256& head() const noexcept { return head_; }
  /// Sum over all accounts; equal to `granted` always. Linear; for checks.
  [[nodiscard]] Credits sum() const;

 private:
  [[nodiscard]] Result<void> check(const Transfer& transfer) const;
  void move(const Transfer& transfer);

  struct TextHasher {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::unordered_map<std::string, Credits, TextHasher, std::equal_to<>> balances_;  // none is zero
  Credits granted_ = 0;
  std::uint64_t sequence_ = 0;
  Sha256 head_{};
};

// ── What a finished task pays ────────────────────────────────────────────────────────────────────

/// A verified run costs this much and one credit more per started kFuelPerCredit of comparable
/// fuel.
inline constexpr Credits kRunCredits = 1;
inline constexpr std::uint64_t kFuelPerCredit = 1'000'000'000;

/// Fuel that counts: what the coordinator measured itself, else what at least two verified runs say
/// (what most of them say; of equals the smaller). Nothing otherwise: a single claim moves no
/// credit.
[[nodiscard]] std::optional<std::uint64_t> comparable_fuel(std::span<const std::uint64_t> said,
                                                           std::optional<std::uint64_t> own);
/// What one verified run is paid: kRunCredits and its fuel, never more than bid / quorum.
[[nodiscard]] Credits run_price(Credits bid, std::uint32_t quorum,
                                std::optional<std::uint64_t> fuel);
/// What is asked for a task that names no bid: enough for its fuel limit on every node.
[[nodiscard]] Credits usual_bid(std::uint32_t quorum, std::uint64_t fuel_limit);

}  // namespace phase::vcp
