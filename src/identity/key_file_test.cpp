// Goal: one identity per node, readable by its owner alone, whatever happens while it is made.
// Method: real files in a folder of the test.
#include <fstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/random.h"
#include "identity/identity.h"

namespace phase::identity {
namespace {

namespace fs = std::filesystem;

class KeyFile : public testing::Test {
 protected:
  KeyFile() : folder_(fs::path(testing::TempDir()) / ("key-file-" + SystemRandom().uuid())) {
    fs::create_directory(folder_);
  }
  ~KeyFile() override { fs::remove_all(folder_); }

  static unsigned mode_of(const fs::path& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777U;
  }
  static void write(const fs::path& path, std::string_view text, unsigned mode) {
    std::ofstream(path, std::ios::binary) << text;
    fs::permissions(path, static_cast<fs::perms>(mode));
  }
  static std::size_t entries(const fs::path& path) {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }

  fs::path folder_;
  SystemRandom random_;
};

TEST_F(KeyFile, IsMadeOnceAndReadFromThenOn) {
  const fs::path path = folder_ / "new" / "deeper" / "identity.key";
  const auto first = load_or_create_key(path, random_);
  ASSERT_TRUE(first.has_value()) << first.error().text();
  EXPECT_EQ(mode_of(path), 0600U);
  EXPECT_EQ(fs::file_size(path), 32U);
  EXPECT_EQ(mode_of(folder_ / "new"), 0700U);
  EXPECT_EQ(mode_of(folder_ / "new" / "deeper"), 0700U);
  EXPECT_EQ(entries(path.parent_path()), 1U) << "a temporary name is left";
  EXPECT_EQ(load_or_create_key(path, random_)->public_key(), first->public_key());
  EXPECT_EQ(load_key(path)->public_key(), first->public_key());
}

TEST_F(KeyFile, IsPrivateUnderAnyUmask) {
  const mode_t before = ::umask(0);
  const auto key = load_or_create_key(folder_ / "open" / "key", random_);
  ::umask(before);
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(mode_of(folder_ / "open" / "key"), 0600U);
  EXPECT_EQ(mode_of(folder_ / "open"), 0700U);
}

TEST_F(KeyFile, LeavesTheModeOfAFolderThatWasThere) {
  fs::permissions(folder_, static_cast<fs::perms>(0755));
  ASSERT_TRUE(load_or_create_key(folder_ / "key", random_).has_value());
  EXPECT_EQ(mode_of(folder_), 0755U);
}

TEST_F(KeyFile, OpenToOthersIsRefusedWithTheRemedyAndNotReplaced) {
  const fs::path path = folder_ / "key";
  for (const unsigned mode : {0640U, 0604U, 0620U, 0644U, 0666U}) {
    write(path, std::string(32, 'k'), mode);
    const auto loaded = load_or_create_key(path, random_);
    ASSERT_FALSE(loaded.has_value()) << std::oct << mode;
    EXPECT_EQ(loaded.error().code, Code::permission_denied);
    EXPECT_EQ(loaded.error().hint, "chmod 600 " + path.string());
    EXPECT_EQ(mode_of(path), mode);
  }
}

TEST_F(KeyFile, OfAnotherSizeIsRefusedAndNotReplaced) {
  const fs::path path = folder_ / "key";
  for (const std::size_t size : {0U, 1U, 31U, 33U, 64U, 4096U}) {
    write(path, std::string(size, 'k'), 0600);
    EXPECT_EQ(load_or_create_key(path, random_).error().code, Code::malformed) << size;
    EXPECT_EQ(fs::file_size(path), size);
  }
}

TEST_F(KeyFile, MissingIsNotFound) {
  EXPECT_EQ(load_key(folder_ / "none").error().code, Code::not_found);
  EXPECT_EQ(load_key(folder_ / "no" / "folder").error().code, Code::not_found);
}

TEST_F(KeyFile, PipesAndFoldersDoNotHangOrPass) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(load_key(folder_ / "pipe").error().code, Code::malformed);
  fs::create_directory(folder_ / "folder");
  EXPECT_FALSE(load_or_create_key(folder_ / "folder", random_).has_value());
  write(folder_ / "file", "x", 0600);
  EXPECT_FALSE(load_or_create_key(folder_ / "file" / "key", random_).has_value());
}

TEST_F(KeyFile, ManyStartersEndWithOneIdentity) {
  constexpr std::size_t kStarters = 8;
  std::vector<Result<KeyPair>> keys;
  for (std::size_t i = 0; i < kStarters; ++i) keys.emplace_back(fail(Code::internal, "not run"));
  std::vector<std::thread> starters;
  for (std::size_t i = 0; i < kStarters; ++i) {
    starters.emplace_back([&keys, this, i] {
      SystemRandom random;
      keys[i] = load_or_create_key(folder_ / "together" / "key", random);
    });
  }
  for (std::thread& starter : starters) starter.join();
  for (const auto& key : keys) {
    ASSERT_TRUE(key.has_value()) << key.error().text();
    EXPECT_EQ(key->public_key(), keys[0]->public_key());
  }
  EXPECT_EQ(entries(folder_ / "together"), 1U);
}

}  // namespace
}  // namespace phase::identity
