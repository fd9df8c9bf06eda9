#include "artifact/store.h"

#include <algorithm>

namespace phase::artifact {
namespace {

namespace fs = std::filesystem;

/// Removes the oldest files of a folder until at most `count` with this ending are left.
void prune(const fs::path& folder, const std::string& ending, std::size_t count) {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> found;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ending) continue;
    found.emplace_back(entry.last_write_time(error), entry.path());
  }
  if (found.size() <= count) return;
  std::ranges::sort(found);
  for (std::size_t i = 0; i < found.size() - count; ++i) {
    fs::path path = found[i].second;
    fs::remove(path, error);
    fs::remove(path.replace_extension(".data"), error);
  }
}

std::string tree_text(const Tree& tree) {
  std::string out;
  out.reserve(8 + tree.leaves().size() * 32);
  for (unsigned shift = 64; shift > 0; shift -= 8) {
    out.push_back(static_cast<char>(tree.length() >> (shift - 8)));
  }
  for (const Sha256& leaf : tree.leaves()) out += as_text(leaf.bytes());
  return out;
}

Result<std::shared_ptr<const Tree>> read_tree(std::string_view text, const ArtifactId& id) {
  const auto wrong = [] { return fail(Code::not_found, "no tree of that artifact"); };
  if (text.size() < 8) return wrong();
  std::uint64_t length = 0;
  for (const char byte : text.substr(0, 8))
    length = (length << 8U) | static_cast<unsigned char>(byte);
  const ByteView rest = as_bytes(text.substr(8));
  if (length > kArtifactBytesMax || rest.size() != chunk_count(length) * 32) return wrong();
  std::vector<Sha256> leaves;
  for (std::size_t at = 0; at < rest.size(); at += 32) {
    leaves.push_back(Sha256::from(rest.subspan(at, 32)).value());
  }
  auto tree = std::make_shared<const Tree>(length, std::move(leaves));
  if (tree->id() != id) return wrong();
  return tree;
}

}  // namespace

Result<std::shared_ptr<Store>> Store::open(Folders folders) {
  for (const fs::path& folder : {folders.own / "trees", folders.own / "parts", folders.blobs}) {
    std::error_code error;
    const bool made = fs::create_directories(folder, error);
    if (error) return fail(Code::io, "making " + folder.string() + " failed: " + error.message());
    if (made) fs::permissions(folder, fs::perms::owner_all, error);
  }
  return std::shared_ptr<Store>(new Store(std::move(folders)));
}

Result<std::unique_ptr<Partial>> Store::partial(const ArtifactId& id) {
  prune(folders_.own / "parts", ".log", kPartialsMax - 1);
  return Partial::open(folders_.own / "parts" / id.hex(), id);
}

bool Store::has_partial(const ArtifactId& id) const {
  std::error_code error;
  return fs::exists(folders_.own / "parts" / (id.hex() + ".log"), error);
}

fs::path Store::blob_path(const Sha256& sha256) const {
  return folders_.blobs / ("sha256-" + sha256.hex());
}

Result<job::ArtifactRef> Store::finish(Partial& partial, const std::atomic<bool>& stop) {
  const auto place = [this](const Sha256& sha256) { return blob_path(sha256); };
  PHASE_TRY(const Partial::Finished done, partial.finish(place, stop));
  static_cast<void>(keep(done.tree));  // it can be made again from the bytes
  return done.content;
}

Result<std::shared_ptr<const Tree>> Store::tree(const ArtifactId& id) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(trees_, id, [](const auto& tree) { return tree->id(); });
    if (found != trees_.end()) {
      trees_.splice(trees_.begin(), trees_, found);
      return trees_.front();
    }
  }
  const std::size_t bytes_max = 8 + chunk_count(kArtifactBytesMax) * 32;
  PHASE_TRY(const std::string text,
            read_file(folders_.own / "trees" / (id.hex() + ".tree"), bytes_max));
  PHASE_TRY(auto tree, read_tree(text, id));
  remember(tree);
  return tree;
}

Result<std::shared_ptr<const Tree>> Store::make_tree(const ArtifactId& id, int file,
                                                     std::uint64_t length,
                                                     const std::atomic<bool>& stop) {
  if (length > kArtifactBytesMax) return fail(Code::too_large, "larger than what is served");
  std::vector<Sha256> leaves;
  Bytes data;
  for (std::uint64_t index = 0; index < chunk_count(length); ++index) {
    if (stop) return fail(Code::cancelled, "stopped");
    data.resize(chunk_bytes(length, index));
    PHASE_TRY_VOID(read_at(file, data, index * kArtifactChunkBytes, "an artifact"));
    leaves.push_back(tree_leaf(data));
  }
  auto tree = std::make_shared<const Tree>(length, std::move(leaves));
  if (tree->id() != id) {
    return fail(Code::verification_failed, "a file is not artifact " + id.hex());
  }
  static_cast<void>(keep(tree));
  return tree;
}

Result<void> Store::keep(const std::shared_ptr<const Tree>& tree) {
  remember(tree);
  prune(folders_.own / "trees", ".tree", kTreeFilesMax - 1);
  return write_file(folders_.own / "trees" / (tree->id().hex() + ".tree"), tree_text(*tree));
}

void Store::remember(const std::shared_ptr<const Tree>& tree) {
  const std::lock_guard lock(mutex_);
  trees_.push_front(tree);
  tree_bytes_ += tree->memory_bytes();
  while (tree_bytes_ > kTreeBytesMax && trees_.size() > 1) {
    tree_bytes_ -= trees_.back()->memory_bytes();
    trees_.pop_back();
  }
}

}  // namespace phase::artifact
