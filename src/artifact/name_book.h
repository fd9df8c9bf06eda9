// name_book.h — which content a name means: records that were heard of, and what this node's
// operator, or its first use, holds it to.
//
// Small files in a folder, replaced whole under a lock, so that a command and a running node
// can both change them. Everything here blocks for the time of a small file.
#pragma once

#include <filesystem>
#include <optional>

#include "artifact/name_record.h"

namespace phase::artifact {

inline constexpr std::size_t kRecordsKeptMax = 1'024;  ///< those that expire first go first
inline constexpr std::size_t kPinsMax = 4'096;
inline constexpr std::size_t kSharedMax = 4'096;
inline constexpr std::size_t kBookBytesMax = 4_MiB;  ///< either file
/// The shortest beginning of a digest that may stand for it.
inline constexpr std::size_t kDigestPrefixMin = 12;

/// What a name is held to: a content, or whatever one publisher says.
struct Pin {
  std::string name;
  std::optional<Sha256> sha256;
  std::optional<ArtifactId> id;  ///< of that content, where it is known
  std::optional<identity::PublicKey> publisher;
  bool by_operator = false;  ///< false: the first that was pulled
  UtcTime since;
};

class NameBook {
 public:
  /// The folder must exist.
  explicit NameBook(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Records that fit and hold at `now`; a missing file has none. Errors: Code::malformed, io.
  [[nodiscard]] Result<std::vector<SignedRecord>> records(const Names& asked, UtcTime now) const;
  /// All that hold.
  [[nodiscard]] Result<std::vector<SignedRecord>> records(UtcTime now) const;
  /// Adds; the newest of a publisher for a name stands.
  [[nodiscard]] Result<void> remember(const std::vector<SignedRecord>& heard, UtcTime now);

  [[nodiscard]] Result<std::vector<Pin>> pins() const;
  [[nodiscard]] Result<std::optional<Pin>> pin_of(std::string_view name) const;
  /// Replaces what was there for the name. Errors: Code::too_large.
  [[nodiscard]] Result<void> pin(Pin pin);
  /// False: there was none.
  [[nodiscard]] Result<bool> unpin(std::string_view name);

  /// Names that this node shares because its operator said so (push).
  [[nodiscard]] Result<std::vector<std::string>> shared() const;
  [[nodiscard]] Result<void> share(std::string_view name);
  /// False: it was not.
  [[nodiscard]] Result<bool> unshare(std::string_view name);

 private:
  [[nodiscard]] Result<void> write_pins(const std::vector<Pin>& pins) const;
  [[nodiscard]] Result<void> write_shared(const std::vector<std::string>& names) const;
  std::filesystem::path folder_;
};

/// The newest record of each publisher for each name.
[[nodiscard]] std::vector<SignedRecord> newest(std::vector<SignedRecord> records);

/// The content that `name` means, given what is known of it. `prefix`: the beginning of a digest
/// that the caller asks for, or empty. Errors: Code::not_found when nobody says anything that may
/// be taken; Code::already_exists, "conflict: …", when publishers differ, or say something else
/// than the pin: each content with those who say so, and how to choose.
[[nodiscard]] Result<job::ArtifactRef> choose(std::string_view name,
                                              const std::vector<SignedRecord>& records,
                                              const std::optional<Pin>& pin,
                                              std::string_view prefix);

}  // namespace phase::artifact
