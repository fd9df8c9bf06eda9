// keeping_internal.h — what a node keeps doing on its own: staying connected to its bootstrap
// peers, and staying announced. Private to src/peer.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "peer/core_internal.h"

namespace phase::peer {

/// Announces keys again and again: every kReprovideInterval, and soon after the routing table has
/// gained peers or a bootstrap peer came back (it may have lost what it was told).
class Announcer {
 public:
  explicit Announcer(std::shared_ptr<Core> core);
  ~Announcer();  // stops

  /// Errors: Code::busy above kProvidedKeysMax, Code::invalid_argument.
  [[nodiscard]] Task<Result<void>> provide(std::string key);
  /// Something makes it worth announcing again.
  void refresh();

 private:
  struct State;
  [[nodiscard]] static Task<void> run(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutine
};

/// Dials a bootstrap peer until stopped: soon again while it does not answer, and when it is gone.
class BootstrapKeeper {
 public:
  /// `connected` is called some time after each new connection.
  BootstrapKeeper(std::shared_ptr<Core> core, std::string multiaddr, identity::PublicKey peer,
                  std::function<void()> connected);
  ~BootstrapKeeper();

 private:
  struct State;
  [[nodiscard]] static Task<void> run(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutine
};

}  // namespace phase::peer
