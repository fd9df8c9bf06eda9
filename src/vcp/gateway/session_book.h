// session_book.h — the sessions a gateway knows now.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vcp/gateway/session.h"

namespace phase::vcp::gateway {

class SessionBook {
 public:
  /// All at once; those that are not among them are over.
  void replace(std::vector<Session> sessions);

  /// The session that a client may use. Errors: Code::unauthorized, the same for an unknown
  /// session, a wrong token and one that is over, after the same comparison;
  /// Code::permission_denied where the session does not lead. Valid until `replace`.
  [[nodiscard]] Result<const Session*> admit(const Handshake& handshake, UtcTime now) const;
  /// Null when there is none.
  [[nodiscard]] const Session* find(const std::string& id) const;
  [[nodiscard]] std::size_t size() const noexcept { return sessions_.size(); }

 private:
  std::map<std::string, Session> sessions_;
};

}  // namespace phase::vcp::gateway
