#include "vcp/server/backup.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/files.h"
#include "base/hash.h"
#include "daemon/daemon.h"
#include "sql/database.h"
#include "vcp/server/snapshot_door.h"
#include "vcp/state/database_journal.h"

namespace phase::vcp {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSums = "SHA256SUMS";
constexpr std::size_t kSumsBytesMax = 64_MiB;
constexpr std::size_t kPieceBytes = 1_MiB;
/// Copied as they are: they do not change while a coordinator runs.
constexpr std::array<const char*, 4> kSecrets = {"coordinator.key", "modules.key",
                                                 "accounts/accounts.secret", "accounts/jwt.secret"};
constexpr std::array<const char*, 2> kDatabases = {kStateFile, kAccountsFile};

/// Removes what was begun unless it was kept.
class Begun {
 public:
  explicit Begun(fs::path path) : path_(std::move(path)) {}
  ~Begun() {
    std::error_code ignored;
    if (!kept_) fs::remove_all(path_, ignored);
  }
  Begun(const Begun&) = delete;
  Begun& operator=(const Begun&) = delete;
  void keep() noexcept { kept_ = true; }

 private:
  fs::path path_;
  bool kept_ = false;
};

/// tasks/<sha256>.wasm: 64 digits.
bool is_module(const std::string& name) {
  constexpr std::string_view kFolder = "tasks/", kEnd = ".wasm";
  constexpr std::size_t kDigits = 64;
  if (name.size() != kFolder.size() + kDigits + kEnd.size()) return false;
  const std::string_view digits = std::string_view(name).substr(kFolder.size(), kDigits);
  return name.starts_with(kFolder) && name.ends_with(kEnd) &&
         digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// The names a backup may have: no other path is ever made of one.
bool belongs(const std::string& name) {
  return std::ranges::find(kSecrets, name) != kSecrets.end() ||
         std::ranges::find(kDatabases, name) != kDatabases.end() || is_module(name);
}

using Sink = std::function<Result<void>(ByteView piece, std::uint64_t at)>;

/// Reads a file to its end; its hash.
Result<Sha256> read_through(const fs::path& from, std::uint64_t& bytes, const Sink& sink) {
  PHASE_TRY(const FileDescriptor in, open_file(from, O_RDONLY | O_NOFOLLOW));
  Sha256Stream hash;
  Bytes piece(kPieceBytes);
  std::uint64_t at = 0;
  while (true) {
    const ssize_t got = ::pread(in.get(), piece.data(), piece.size(), static_cast<off_t>(at));
    if (got < 0) return fail_errno(errno, "cannot read " + from.string());
    if (got == 0) break;
    const ByteView view = ByteView(piece).first(static_cast<std::size_t>(got));
    hash.update(view);
    PHASE_TRY_VOID(sink(view, at));
    at += static_cast<std::uint64_t>(got);
  }
  bytes += at;
  return hash.finish();
}

/// Copies a file into a new one, on the disk when this returns; its hash.
Result<Sha256> copy_file(const fs::path& from, const fs::path& to, std::uint64_t& bytes) {
  PHASE_TRY(const FileDescriptor out, open_file(to, O_WRONLY | O_CREAT | O_EXCL, 0600));
  const Sink write = [&](ByteView piece, std::uint64_t at) {
    return write_at(out.get(), piece, at, to.string());
  };
  PHASE_TRY(const Sha256 hash, read_through(from, bytes, write));
  if (::fsync(out.get()) != 0) return fail_write(errno, to.string());
  return hash;
}

/// A copy that SQLite wrote.
Result<Sha256> hash_file(const fs::path& path, std::uint64_t& bytes) {
  return read_through(path, bytes, [](ByteView, std::uint64_t) { return Result<void>{}; });
}

Result<void> new_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    return fail(Code::already_exists, folder.string() + " is not empty", "name a new folder");
  }
  return daemon::make_folder(folder, "an absolute path");
}

Result<void> make_parts(const fs::path& folder) {
  PHASE_TRY_VOID(daemon::make_folder(folder / "accounts", "an absolute path"));
  return daemon::make_folder(folder / "tasks", "an absolute path");
}

Result<void> sync_parts(const fs::path& folder) {
  PHASE_TRY_VOID(sync_folder(folder / "accounts"));
  PHASE_TRY_VOID(sync_folder(folder / "tasks"));
  return sync_folder(folder);
}

/// Nobody runs there: SQLite's lock says so.
Result<void> copy_stopped(const fs::path& from, const fs::path& to) {
  for (const char* const name : kDatabases) {
    PHASE_TRY(sql::Database database, sql::Database::open(from / name));
    PHASE_TRY(const auto copy, sql::Copy::begin(database, to / name));
    constexpr int kAllPages = -1;
    PHASE_TRY_VOID(copy->step(kAllPages));
  }
  return {};
}

/// {name: where it is now} of all but the databases.
Result<std::map<std::string, fs::path>> files_beside(const fs::path& data_dir) {
  std::map<std::string, fs::path> out;
  std::error_code error;
  for (const char* const name : kSecrets) {
    // jwt.secret is not there when JWT_SECRET is set.
    if (fs::exists(data_dir / name, error)) out[name] = data_dir / name;
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(data_dir / "tasks", error)) {
    const std::string name = "tasks/" + entry.path().filename().string();
    if (is_module(name)) out[name] = entry.path();
  }
  return out;
}

Result<void> check_facts(const fs::path& state, BackupFacts& out) {
  PHASE_TRY(const StateFacts facts, check_state(state));
  out.nodes = facts.nodes;
  out.tasks = facts.tasks;
  out.entries = facts.entries;
  out.ledger_head = facts.head.hex();
  return {};
}

struct Sum {
  std::string name;
  Sha256 hash;
};

/// Lines of "<64 digits>  <name>", each name once.
Result<std::vector<Sum>> read_sums(const fs::path& from) {
  const fs::path path = from / kSums;
  PHASE_TRY(const std::string text, read_file(path, kSumsBytesMax));
  std::vector<Sum> out;
  std::set<std::string> seen;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    constexpr std::size_t kDigits = 64, kName = kDigits + 2;
    const auto hash = Sha256::from_hex_text(line.substr(0, kDigits));
    std::string name(line.size() > kName ? line.substr(kName) : "");
    if (!hash || line.substr(kDigits, 2) != "  " || !belongs(name) || !seen.insert(name).second) {
      return fail(Code::verification_failed,
                  path.string() + " has a line that no backup has: " + printable(line, 100));
    }
    out.push_back({std::move(name), *hash});
  }
  for (const char* const name : {kStateFile, kAccountsFile, "coordinator.key"}) {
    if (!seen.contains(name)) {
      return fail(Code::verification_failed, path.string() + " does not list " + name);
    }
  }
  return out;
}

}  // namespace

Result<BackupFacts> back_up(const fs::path& data_dir, const fs::path& to) {
  std::error_code error;
  if (!fs::exists(data_dir / kStateFile, error)) {
    return fail(Code::not_found, data_dir.string() + " holds no coordinator's state",
                "--data-dir DIR, or --cluster-id NAME, as the coordinator has it");
  }
  PHASE_TRY_VOID(new_folder(to));
  Begun begun(to);
  PHASE_TRY_VOID(make_parts(to));
  BackupFacts out;
  // The databases first: what they name of the rest is there by then, and stays.
  PHASE_TRY(const auto snapshot, Snapshot::ask(data_dir));
  if (snapshot) {
    for (const char* const name : kDatabases) {
      std::uint64_t ignored = 0;  // counted below
      PHASE_TRY_VOID(copy_file(snapshot->folder() / name, to / name, ignored));
    }
  } else {
    PHASE_TRY_VOID(copy_stopped(data_dir, to));
  }
  PHASE_TRY(const auto files, files_beside(data_dir));
  PHASE_TRY_VOID(check_facts(to / kStateFile, out));
  std::string sums;
  for (const char* const name : kDatabases) {
    PHASE_TRY(const Sha256 hash, hash_file(to / name, out.bytes));
    sums += hash.hex() + "  " + name + "\n";
  }
  out.files = kDatabases.size();
  for (const auto& [name, from] : files) {
    const Result<Sha256> hash = copy_file(from, to / name, out.bytes);
    // A module that no task needed may have gone since it was listed.
    std::error_code ignored;
    if (!hash && is_module(name) && !fs::exists(from, ignored)) {
      fs::remove(to / name, ignored);
      continue;
    }
    if (!hash) return fail(hash.error());
    sums += hash->hex() + "  " + name + "\n";
    ++out.files;
  }
  PHASE_TRY_VOID(write_file(to / kSums, sums));
  PHASE_TRY_VOID(sync_parts(to));
  begun.keep();
  return out;
}

Result<BackupFacts> restore(const fs::path& from, const fs::path& data_dir) {
  PHASE_TRY(const std::vector<Sum> sums, read_sums(from));
  PHASE_TRY_VOID(new_folder(data_dir));
  Begun begun(data_dir);
  PHASE_TRY_VOID(make_parts(data_dir));
  BackupFacts out;
  for (const Sum& sum : sums) {
    PHASE_TRY(const Sha256 hash, copy_file(from / sum.name, data_dir / sum.name, out.bytes));
    if (hash != sum.hash) {
      return fail(Code::verification_failed, (from / sum.name).string() + " was changed",
                  "use another backup");
    }
  }
  out.files = sums.size();
  PHASE_TRY_VOID(check_facts(data_dir / kStateFile, out));
  PHASE_TRY_VOID(sync_parts(data_dir));
  begun.keep();
  return out;
}

}  // namespace phase::vcp
