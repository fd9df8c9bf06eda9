// address.h — is an address one of the public Internet?
//
// Checked on what a name resolved to, right before it is dialled, so a name cannot mean another
// place then. Sources: the IANA special-purpose address registries (RFC 6890 and its successors).
#pragma once

#include <boost/asio/ip/address.hpp>

namespace phase::vcp::gateway {

/// False for loopback, private, link-local, shared (RFC 6598), multicast, reserved, documentation
/// and unspecified addresses, and for IPv6 addresses that carry such an IPv4 address (mapped,
/// NAT64, 6to4) or could carry any (Teredo).
[[nodiscard]] bool is_public(const boost::asio::ip::address& address);

}  // namespace phase::vcp::gateway
