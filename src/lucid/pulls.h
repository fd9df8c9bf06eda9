// pulls.h — /api/pull and /api/push: a name becomes a content by what publishers signed and what is
// pinned; the content comes from peers; the name is given to it here.
//
// Belongs to one executor.
#pragma once

#include <functional>
#include <memory>

#include "artifact/fetcher.h"
#include "artifact/name_book.h"
#include "artifact/name_search.h"
#include "lucid/answer.h"
#include "lucid/catalog.h"
#include "lucid/sharing.h"

namespace phase::lucid {

/// What a client asks to pull: a name, a name with (the beginning of) a digest, or a content alone.
struct PullSpec {
  std::optional<ModelName> name;
  std::string digest_prefix;     ///< hexadecimal digits of the flat SHA-256, or empty
  std::optional<ArtifactId> id;  ///< "artifact:<64 hex>", or 64 hex
  std::string as_written;

  /// NAME, NAME@sha256:<12 … 64 hex>, sha256:<64 hex>, artifact:<64 hex>, <64 hex>. Errors:
  /// Code::invalid_argument.
  [[nodiscard]] static Result<PullSpec> parse(std::string_view text);
};

class Pulls {
 public:
  struct World {
    Clock& clock;
    asio::any_io_executor executor;
    const identity::KeyPair& key;
    Catalog& catalog;
    artifact::NameBook& book;
    Sharing& sharing;
    artifact::Store& store;
    artifact::Peers* peers;         ///< null: stays off the network
    artifact::Fetcher* fetcher;     ///< null likewise
    std::function<void()> changed;  ///< what is shared may have changed: announce
    spdlog::logger& log;
  };
  explicit Pulls(World world);
  ~Pulls();

  /// Lines of Ollama's pull; errors come in their place in the stream. Errors:
  /// Code::invalid_argument for a name that is none; Code::not_found where nothing can be pulled.
  [[nodiscard]] Task<Result<std::unique_ptr<Transfer>>> pull(std::string text);
  /// Shares a model of this machine with those whom the policy lets in.
  [[nodiscard]] Result<std::unique_ptr<Transfer>> push(const LocalModelPtr& model);

  struct State;

 private:
  std::shared_ptr<State> state_;  // shared with pulls under way
};

/// Lines that are known from the start.
[[nodiscard]] std::unique_ptr<Transfer> told_lines(std::vector<TransferLine> lines);
[[nodiscard]] TransferLine status_line(std::string text);
/// "pulling 0123456789ab" with its digest.
[[nodiscard]] TransferLine layer_line(std::string_view verb, const Sha256& sha256,
                                      std::uint64_t total, std::optional<std::uint64_t> completed);

}  // namespace phase::lucid
