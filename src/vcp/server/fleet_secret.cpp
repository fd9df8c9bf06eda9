#include "vcp/server/fleet_secret.h"

#include <cstdlib>

#include <sys/stat.h>

#include "base/check.h"
#include "base/files.h"
#include "base/hash.h"
#include "vcp/accounts/token.h"

namespace phase::vcp {
namespace {

constexpr std::size_t kSecretBytesMax = 4_KiB;
constexpr const char* kHow =
    "openssl rand -hex 32 > fleet.secret, and --fleet-secret-file fleet.secret (or "
    "VCP_FLEET_SECRET) for every coordinator of the fleet";

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

Result<std::string> given(const std::filesystem::path& file) {
  if (file.empty()) {
    const char* value = std::getenv("VCP_FLEET_SECRET");
    return std::string(value == nullptr ? "" : value);
  }
  struct stat facts{};
  if (::stat(file.c_str(), &facts) == 0 && (facts.st_mode & 077) != 0) {
    return fail(Code::permission_denied, file.string() + " may be read by others",
                "chmod 600 " + file.string());
  }
  return read_file(file, kSecretBytesMax);
}

}  // namespace

Result<std::string> read_fleet_secret(const std::filesystem::path& file) {
  PHASE_TRY(const std::string text, given(file));
  std::string out = trimmed(text);
  if (out.empty()) return fail(Code::invalid_argument, "--database needs a fleet secret", kHow);
  if (out.size() < kFleetSecretBytesMin) {
    return fail(Code::invalid_argument, "the fleet secret has fewer than 32 characters", kHow);
  }
  return out;
}

FleetKeys fleet_keys(std::string_view secret) {
  const std::array<std::uint8_t, 32> key = sha256(as_bytes(secret)).value;
  const Sha256 seed = hmac_sha256(key, "phase/vcp/fleet/1 coordinator");
  auto coordinator = identity::KeyPair::from_seed(ByteView(seed.value));
  PHASE_CHECK(coordinator);
  return {*std::move(coordinator), hmac_sha256(key, "phase/vcp/fleet/1 access tokens").hex(),
          hmac_sha256(key, "phase/vcp/fleet/1 accounts").hex(),
          hmac_sha256(key, "phase/vcp/fleet/1 fronts").value};
}

}  // namespace phase::vcp
