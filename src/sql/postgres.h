// postgres.h — a PostgreSQL server as a Database.
//
// Texts go over as UTF-8; what PostgreSQL cannot keep (a NUL, broken UTF-8) becomes U+FFFD. Changes
// within a transaction are sent without waiting for each (pipeline mode): an error of one is told
// by a later call, at the latest by commit.
#pragma once

#include "sql/database.h"

namespace phase::sql {

/// Of reaching a server; a connection that says nothing for so long is given up.
inline constexpr int kConnectSeconds = 5, kSilenceSeconds = 11;
/// Changes that are under way at once.
inline constexpr std::size_t kPipelineMax = 128;

class Postgres : public Database {
 public:
  Postgres() noexcept;  ///< connected to nothing
  /// `url` as libpq takes it: postgres://user:password@host:port/name?sslmode=verify-full.
  /// Errors: Code::invalid_argument (no such URL), unavailable (nobody there), permission_denied.
  [[nodiscard]] static Result<Postgres> connect(const std::string& url);

  /// Every transaction begins with this query, and a change outside of one gets a transaction: when
  /// it gives no row nothing is changed and Code::rejected is answered.
  void fence(std::string query);

  /// Begins to hear what is told on `channel` (a plain word).
  [[nodiscard]] Result<void> listen(std::string_view channel);
  /// Waits for a notice, at most so long, or until `wake` is readable. True: one came.
  /// Errors: Code::unavailable when the connection is gone.
  [[nodiscard]] Result<bool> wait_for_notice(Duration at_most, int wake);

 private:
  explicit Postgres(std::unique_ptr<Connection> connection) noexcept;
};

}  // namespace phase::sql
