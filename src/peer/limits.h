// limits.h — times and bounds of src/peer. Those of the network library: rust/net/src/limits.rs.
#pragma once

#include "base/clock.h"

namespace phase::peer {

/// Keys one node announces at most; more is Code::busy.
inline constexpr std::size_t kProvidedKeysMax = 256;
/// Bytes of a key of the DHT.
inline constexpr std::size_t kProvideKeyBytesMax = 256;
/// Addresses in Options::bootstrap.
inline constexpr std::size_t kBootstrapMax = 32;

/// Announcements are repeated this often; others keep them three times as long.
inline constexpr Duration kReprovideInterval = 600s;
/// How long one announcement may take before the next key is announced.
inline constexpr Duration kProvideTimeout = 10s;
/// New peers in the routing table make us announce again: at once the first time, then with pauses
/// that double from the first figure to the second.
inline constexpr Duration kReannouncePauseMin = 2s;
inline constexpr Duration kReannouncePauseMax = 300s;

/// Reads and writes of a stream that did not have to wait, before everybody else has a turn.
inline constexpr std::size_t kStreamTurnsMax = 16;

inline constexpr Duration kBootstrapDialTimeout = 10s;
/// Pauses between failing dials of a bootstrap peer double from the first figure to the second.
inline constexpr Duration kBootstrapPauseMin = 500ms;
inline constexpr Duration kBootstrapPauseMax = 15s;
/// How often a bootstrap peer that answered is looked at, and dialed again when it is gone.
inline constexpr Duration kBootstrapCheck = 15s;
/// After a new connection, until the peer has told which protocols it speaks and can be announced
/// to.
inline constexpr Duration kBootstrapSettle = 1s;

static_assert(kBootstrapPauseMin <= kBootstrapPauseMax);
static_assert(kReannouncePauseMax <= kReprovideInterval);

}  // namespace phase::peer
