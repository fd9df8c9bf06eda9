#include "vcp/agent/rendezvous.h"

#include <boost/json/parse.hpp>

#include "base/files.h"

namespace phase::vcp {
namespace {

namespace json = boost::json;

constexpr std::size_t kPinBytesMax = 256;
constexpr const char* kNoCoordinator =
    "--coordinator-url (or VCP_API_URL) is the address of an ambient-vcp coordinator, for example "
    "http://127.0.0.1:3000, or https:// where it has a certificate";
constexpr const char* kNotTrusted =
    "--coordinator-ca FILE (or VCP_COORDINATOR_CA) names the authority that signed it, or the "
    "certificate itself, in PEM";

Result<std::vector<std::string>> addresses_of(const json::value& list,
                                              const identity::PeerId& peer) {
  const json::array* const all = list.if_array();
  if (all == nullptr) return fail(Code::malformed, "mesh: \"addresses\" is no list");
  if (all->size() > kMeshAddressesMax) return fail(Code::too_large, "mesh: too many addresses");
  std::vector<std::string> out;
  for (const json::value& one : *all) {
    const json::string* const text = one.if_string();
    if (text == nullptr || text->empty() || text->size() > kMeshAddressBytesMax ||
        text->front() != '/') {
      return fail(Code::malformed, "mesh: an address is a multiaddr of at most 512 bytes");
    }
    std::string address(text->data(), text->size());
    // Bound to the key: whoever else answers there is hung up on.
    if (address.find("/p2p/") == std::string::npos) address += "/p2p/" + peer.text();
    out.push_back(std::move(address));
  }
  return out;
}

}  // namespace

Result<Meeting> parse_meeting(std::string_view text) {
  if (text.size() > kMeshAnswerBytesMax)
    return fail(Code::too_large, "mesh: the answer is too long");
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  const json::object* const object = error ? nullptr : value.if_object();
  if (object == nullptr) return fail(Code::malformed, "mesh: the answer is no JSON object");
  const json::value* const id = object->if_contains("peer_id");
  const json::value* const list = object->if_contains("addresses");
  if (id == nullptr || !id->is_string() || list == nullptr) {
    return fail(Code::malformed, "mesh: \"peer_id\" and \"addresses\" are needed");
  }
  const json::string& word = id->get_string();
  PHASE_TRY(const identity::PeerId peer, identity::PeerId::parse({word.data(), word.size()}));
  Meeting out{peer.key(), {}};
  PHASE_TRY(out.addresses, addresses_of(*list, peer));
  return out;
}

Task<Result<Meeting>> look_up(asio::any_io_executor executor, http_client::Url url,
                              std::shared_ptr<const http_client::Trust> trust) {
  const std::string where = url.text() + "/api/v1/mesh";
  http_client::Options options;
  options.who = "the coordinator";
  options.hint = kNoCoordinator;
  options.trust = std::move(trust);
  options.trust_hint = kNotTrusted;
  options.answer_bytes_max = kMeshAnswerBytesMax;
  options.silence_max = kMeshSilenceMax;
  std::string route = "/api/v1/mesh";
  Result<http_client::Answer> answer = co_await http_client::get(
      std::move(executor), std::move(url), std::move(route), std::move(options));
  if (!answer) co_return fail(answer.error());
  if (answer->status != 200) {
    co_return fail(Code::unavailable, where + " answers " + std::to_string(answer->status),
                   kNoCoordinator);
  }
  Result<Meeting> meeting = parse_meeting(answer->body);
  if (meeting) co_return meeting;
  Error wrong = meeting.error();
  wrong.message = where + ": " + wrong.message;
  wrong.hint = kNoCoordinator;
  co_return fail(std::move(wrong));
}

Result<void> CoordinatorPin::check(const identity::PublicKey& key) const {
  const Result<std::string> kept = read_file(path_, kPinBytesMax);
  if (!kept) {
    if (kept.error().code == Code::not_found) return {};
    return fail(kept.error());
  }
  const std::string_view text = std::string_view(*kept).substr(0, kept->find('\n'));
  const std::string now = identity::PeerId::from(key).text();
  if (text == now) return {};
  return fail(
      Code::unauthorized,
      "the coordinator at this address is " + now + ", but this node joined " + printable(text, 80),
      "if the coordinator was really replaced, remove " + path_.string() +
          " and join again with a new token");
}

Result<void> CoordinatorPin::keep(const identity::PublicKey& key) const {
  std::error_code ignored;
  if (std::filesystem::exists(path_, ignored)) return {};
  return write_file(path_, identity::PeerId::from(key).text() + "\n");
}

}  // namespace phase::vcp
