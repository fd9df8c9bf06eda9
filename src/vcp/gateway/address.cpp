#include "vcp/gateway/address.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

namespace phase::vcp::gateway {
namespace {

namespace ip = boost::asio::ip;

struct Block4 {
  std::uint32_t base;
  unsigned bits;
};
constexpr Block4 kNotPublic4[] = {
    {0x00000000, 8},   // 0.0.0.0/8: this network
    {0x0A000000, 8},   // 10.0.0.0/8: private
    {0x64400000, 10},  // 100.64.0.0/10: shared by carriers
    {0x7F000000, 8},   // 127.0.0.0/8: loopback
    {0xA9FE0000, 16},  // 169.254.0.0/16: link-local, and metadata services of clouds
    {0xAC100000, 12},  // 172.16.0.0/12: private
    {0xC0000000, 24},  // 192.0.0.0/24: protocol assignments
    {0xC0000200, 24},  // 192.0.2.0/24: documentation
    {0xC0586300, 24},  // 192.88.99.0/24: 6to4 relays, deprecated
    {0xC0A80000, 16},  // 192.168.0.0/16: private
    {0xC6120000, 15},  // 198.18.0.0/15: benchmarking
    {0xC6336400, 24},  // 198.51.100.0/24: documentation
    {0xCB007100, 24},  // 203.0.113.0/24: documentation
    {0xE0000000, 3},   // 224.0.0.0/3: multicast, reserved, broadcast
};

bool is_public4(std::uint32_t address) {
  return std::ranges::none_of(kNotPublic4, [address](const Block4& block) {
    return ((address ^ block.base) >> (32 - block.bits)) == 0;
  });
}

std::uint32_t number_at(const ip::address_v6::bytes_type& bytes, std::size_t at) {
  return std::uint32_t{bytes.at(at)} << 24U | std::uint32_t{bytes.at(at + 1)} << 16U |
         std::uint32_t{bytes.at(at + 2)} << 8U | std::uint32_t{bytes.at(at + 3)};
}

bool begins(const ip::address_v6::bytes_type& bytes, std::initializer_list<std::uint8_t> prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

bool is_public6(const ip::address_v6::bytes_type& bytes) {
  constexpr std::size_t kLast4 = 12;
  // NAT64 (RFC 6052) leads to the IPv4 address it ends with.
  if (begins(bytes, {0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0})) {
    return is_public4(number_at(bytes, kLast4));
  }
  if (begins(bytes, {0x20, 0x02})) return is_public4(number_at(bytes, 2));  // 6to4
  if (begins(bytes, {0x20, 0x01, 0x0D, 0xB8})) return false;                // documentation
  if (begins(bytes, {0x3F, 0xFF}) && bytes[2] < 0x10) return false;         // documentation
  // 2001::/23 is for protocols, Teredo among them.
  if (begins(bytes, {0x20, 0x01}) && bytes[2] < 0x02) return false;
  return (bytes[0] & 0xE0U) == 0x20;  // global unicast is 2000::/3, nothing else
}

}  // namespace

bool is_public(const ip::address& address) {
  if (address.is_v4()) return is_public4(address.to_v4().to_uint());
  const ip::address_v6 v6 = address.to_v6();
  const auto bytes = v6.to_bytes();
  if (v6.is_v4_mapped()) return is_public4(number_at(bytes, 12));
  return is_public6(bytes);
}

}  // namespace phase::vcp::gateway
