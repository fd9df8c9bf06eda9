// The OpenAPI document, from the table.
#include <algorithm>

#include <boost/json.hpp>

#include "api/vcp/operation.h"
#include "api/vcp/shapes.h"

namespace phase::vcp::api {
namespace {

std::string_view error_about(int status) {
  switch (status) {
    case 400:
      return "not HTTP or JSON as it should be";
    case 401:
      return "nobody is logged in";
    case 402:
      return "not enough credits";
    case 403:
      return "not allowed";
    case 404:
      return "not there, or not yours";
    case 409:
      return "in the way of what is there";
    case 413:
      return "too large";
    case 422:
      return "a member has a wrong value; details names it";
    case 429:
      return "too often; Retry-After says when";
    case 501:
      return "not available yet";
    default:
      return "not now; try again";
  }
}

std::vector<int> error_statuses(const Operation& operation) {
  std::vector<int> out{400, 413, 422, 503};
  if (operation.tier != Tier::none) {
    out.push_back(429);
  }
  if (operation.who != Who::anybody || operation.group == "auth") {
    out.insert(out.end(), {401, 403});
  }
  if (operation.path.find('{') != std::string::npos || operation.id == "startConnectSession") {
    out.push_back(404);
  }
  if (operation.method != http::Method::get) {
    out.push_back(409);
  }
  if (operation.id == "submitTask" || operation.id == "registerNode") {
    out.insert(out.end(), {402, 501});
  }
  std::ranges::sort(out);
  return out;
}

json::object media(std::string_view type, const std::optional<Schema>& schema,
                   json::object& components) {
  json::object content;
  if (schema) {
    content["schema"] = schema->describe(components);
  } else if (type != "application/wasm") {
    content["schema"] = json::object{{"type", "string"}};
  }
  return {{json::string_view(type.data(), type.size()), std::move(content)}};
}

json::object responses(const Operation& operation, json::object& components) {
  json::object out;
  for (const Answer& answer : operation.answers) {
    json::object one{{"description", answer.about},
                     {"content", media(answer.type, answer.body, components)}};
    const bool paged = std::ranges::any_of(operation.query,
                                           [](const auto& field) { return field.name == "after"; });
    if (paged) {
      one["headers"] =
          json::object{{"X-Next-Cursor",
                        json::object{{"description", "after= of the next page; absent on the last"},
                                     {"schema", json::object{{"type", "string"}}}}}};
    }
    out[std::to_string(answer.status)] = std::move(one);
  }
  for (const int status : error_statuses(operation)) {
    if (!out.contains(std::to_string(status))) {
      out[std::to_string(status)] =
          json::object{{"description", json::string(error_about(status))},
                       {"content", media("application/json", shapes::error(), components)}};
    }
  }
  return out;
}

json::array parameters(const Operation& operation, json::object& components) {
  json::array out;
  const std::string& path = operation.path;
  for (std::size_t at = path.find('{'); at != std::string::npos; at = path.find('{', at + 1)) {
    const std::string name = path.substr(at + 1, path.find('}', at) - at - 1);
    out.push_back(json::object{{"name", name},
                               {"in", "path"},
                               {"required", true},
                               {"schema", json::object{{"type", "string"}, {"minLength", 1}}}});
  }
  for (const QueryField& field : operation.query) {
    out.push_back(json::object{{"name", field.name},
                               {"in", "query"},
                               {"description", field.about},
                               {"schema", field.schema.describe(components)}});
  }
  if (operation.idempotent) {
    out.push_back(json::object{
        {"name", "Idempotency-Key"},
        {"in", "header"},
        {"description", "the same key within a day: the same answer, nothing done twice"},
        {"schema", json::object{{"type", "string"}, {"pattern", "^[!-~]{1,128}$"}}}});
  }
  if (operation.stream) {
    out.push_back(
        json::object{{"name", "Last-Event-ID"},
                     {"in", "header"},
                     {"description", "goes on after this event"},
                     {"schema", json::object{{"type", "string"}, {"pattern", "^[0-9]{1,15}$"}}}});
  }
  return out;
}

json::array security(const Operation& operation) {
  if (operation.who == Who::anybody) {
    return {};
  }
  if (operation.who == Who::key) {
    return {json::object{{"apiKey", json::array{}}}};
  }
  json::array out{json::object{{"bearer", json::array{}}}, json::object{{"cookie", json::array{}}}};
  if (!operation.scope.empty()) {
    out.push_back(json::object{{"apiKey", json::array{}}});
  }
  return out;
}

json::object describe(const Operation& operation, json::object& components) {
  json::object out{{"operationId", operation.id},
                   {"tags", json::array{json::string(operation.group)}},
                   {"summary", operation.summary},
                   {"security", security(operation)},
                   {"responses", responses(operation, components)}};
  if (!operation.scope.empty()) {
    out["description"] = "Scope of an API key: " + operation.scope;
  }
  json::array given = parameters(operation, components);
  if (!given.empty()) {
    out["parameters"] = std::move(given);
  }
  if (operation.body || operation.body_type != "application/json") {
    out["requestBody"] =
        json::object{{"required", !operation.body_optional},
                     {"content", media(operation.body_type, operation.body, components)}};
  }
  return out;
}

json::object security_schemes() {
  return {{"bearer", json::object{{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}}},
          {"apiKey", json::object{{"type", "apiKey"}, {"in", "header"}, {"name", "X-API-Key"}}},
          {"cookie", json::object{{"type", "apiKey"},
                                  {"in", "cookie"},
                                  {"name", "vcp_session"},
                                  {"description", "writes need X-VCP-CSRF: 1 besides"}}}};
}

}  // namespace

std::string openapi_document(const std::vector<Operation>& operations) {
  json::object components, paths;
  for (const Operation& operation : operations) {
    std::string method{http::method_name(operation.method)};
    std::ranges::transform(method, method.begin(), [](char c) { return char(c - 'A' + 'a'); });
    json::value& path = paths[operation.path];
    if (path.is_null()) {
      path = json::object{};
    }
    path.as_object()[method] = describe(operation, components);
  }
  const json::object document{
      {"openapi", "3.1.0"},
      {"info", json::object{{"title", "Ambient VCP"},
                            {"version", "1.0.0"},
                            {"description", "The REST API of a coordinator: spec/vcp-api.md"}}},
      {"paths", std::move(paths)},
      {"components",
       json::object{{"schemas", std::move(components)}, {"securitySchemes", security_schemes()}}}};
  return json::serialize(document);
}

}  // namespace phase::vcp::api
