#include "vcp/gateway/session_book.h"

namespace phase::vcp::gateway {

void SessionBook::replace(std::vector<Session> sessions) {
  sessions_.clear();
  for (Session& session : sessions) {
    std::string id = session.id;
    sessions_.insert_or_assign(std::move(id), std::move(session));
  }
}

const Session* SessionBook::find(const std::string& id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : &found->second;
}

Result<const Session*> SessionBook::admit(const Handshake& handshake, UtcTime now) const {
  static const Sha256 kNobody{};
  const Session* const session = find(handshake.session_id);
  const Sha256& wanted = session == nullptr ? kNobody : session->token;
  const bool equal = equal_constant_time(handshake.token.bytes(), wanted.bytes());
  if (session == nullptr || !equal || now >= session->expires) {
    return fail(Code::unauthorized,
                "there is no such session, its token is another, or it is over");
  }
  if (!session->allows(handshake.destination)) {
    return fail(Code::permission_denied, "the session does not lead to this destination");
  }
  return session;
}

}  // namespace phase::vcp::gateway
