// vectors.h — the documents of spec/vectors, made from fixed seeds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

namespace phase::vectors {

namespace json = boost::json;

/// One file of spec/vectors.
struct VectorFile {
  std::string name;  ///< "receipt.json"
  json::value content;
};

/// Every file, always the same bytes.
[[nodiscard]] std::vector<VectorFile> all_files();

/// JSON as it stands in the files: keys in order of insertion, two spaces, one case a block.
[[nodiscard]] std::string to_text(const json::value& value);

// One per file: {"document", "spec", "cases": [...]}. What a case holds: spec/vectors/README.md.
[[nodiscard]] json::value encoding_vectors();
[[nodiscard]] json::value identity_vectors();
[[nodiscard]] json::value envelope_vectors();
[[nodiscard]] json::value artifact_vectors();
[[nodiscard]] json::value artifact_frame_vectors();
[[nodiscard]] json::value fleet_vectors();
[[nodiscard]] json::value job_vectors();
[[nodiscard]] json::value output_vectors();
[[nodiscard]] json::value manifest_vectors();
[[nodiscard]] json::value receipt_vectors();
[[nodiscard]] json::value verify_vectors();
[[nodiscard]] json::value frame_vectors();

}  // namespace phase::vectors
