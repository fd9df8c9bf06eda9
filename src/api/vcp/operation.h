// operation.h — one operation of the API as data: what routes, checks and the OpenAPI document are
// made from. The table is in operations.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/message.h"
#include "api/vcp/rate_limit.h"
#include "api/vcp/schema.h"

namespace phase::vcp::api {

struct Call;
/// What an operation does once who asks and what is asked were checked.
using Run = Task<Result<http::Reply>> (*)(Call& call);

enum class Who : std::uint8_t { anybody, user, admin, key };

struct QueryField {
  std::string name;
  Schema schema;
  std::string about;
};

struct Answer {
  int status = 200;
  std::string about;
  std::optional<Schema> body = {};  ///< absent: none, or of `type` without a schema
  std::string type = "application/json";
};

struct Operation {
  http::Method method = http::Method::get;
  std::string path;  ///< "/api/v1/nodes/{node_id}"
  std::string id, group, summary;
  Who who = Who::user;
  std::string scope = {};  ///< of an API key; empty: no API key will do (but for `anybody`)
  Tier tier = Tier::general;
  std::vector<QueryField> query = {};
  std::optional<Schema> body = {};
  bool body_optional = false;
  std::string body_type = "application/json";  ///< another one is not read as JSON
  std::uint64_t body_bytes_max = 0;
  bool idempotent = false;  ///< takes Idempotency-Key
  bool stream = false;      ///< server-sent events
  std::vector<Answer> answers;
  Run run = nullptr;
};

/// Bodies of ordinary requests.
inline constexpr std::size_t kBodyBytesMax = 64_KiB;
/// A module, decoded.
inline constexpr std::size_t kModuleBytesMax = 50'000'000;
/// A submission with a module of that size in base64, and all else.
inline constexpr std::size_t kTaskBodyBytesMax = kModuleBytesMax / 3 * 4 + 2_MiB;
/// Of all bodies that are read at the same time.
inline constexpr std::size_t kBodyBytesTotalMax = 256_MiB;
inline constexpr std::size_t kIdempotencyKeyBytesMax = 128;

/// Every operation, in order.
[[nodiscard]] std::vector<Operation> all_operations();
/// OpenAPI 3.1.
[[nodiscard]] std::string openapi_document(const std::vector<Operation>& operations);

}  // namespace phase::vcp::api
