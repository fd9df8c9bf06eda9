// describe.h — decoded documents as JSON, field by field: what a reader in any language should see.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "protocol/manifest/manifest.h"
#include "protocol/offer/frame.h"
#include "protocol/receipt/receipt.h"
#include "vectors.h"

namespace phase::vectors {

[[nodiscard]] json::object describe(const job::Job& job);
[[nodiscard]] json::object describe(const manifest::Manifest& manifest);
[[nodiscard]] json::object describe(const receipt::Receipt& receipt);
[[nodiscard]] json::object describe(const receipt::Completion& completion);
[[nodiscard]] json::object describe(const receipt::Checkpoint& checkpoint);
[[nodiscard]] json::object describe(const receipt::Commit& commit);
[[nodiscard]] json::object describe(const job::Commitment& commitment);
[[nodiscard]] json::object describe(const job::OutputSummary& summary);
[[nodiscard]] json::object describe(const offer::Frame& frame);
[[nodiscard]] json::object describe(const offer::Capabilities& node);
/// [{"stream": 1, "data": hex}, …]
[[nodiscard]] json::array describe(const std::vector<job::OutputPiece>& transcript);

}  // namespace phase::vectors
