#include "vcp/accounts/account.h"

#include <algorithm>

namespace phase::vcp {

std::string_view role_name(Role role) noexcept {
  return role == Role::admin ? "admin" : "user";
}

std::optional<Role> role_of(std::string_view name) noexcept {
  if (name == "admin") {
    return Role::admin;
  }
  return name == "user" ? std::optional(Role::user) : std::nullopt;
}

bool Principal::may(std::string_view scope) const noexcept {
  return via != "api_key" || std::ranges::find(scopes, scope) != scopes.end();
}

}  // namespace phase::vcp
