// The table of functions, and the ones too small for a file of their own.
#include <algorithm>
#include <cstring>

#include <sodium.h>

#include "wasi/functions_internal.h"

namespace phase::wasi {
namespace {

// --- arguments and environment

Call list_sizes(const std::vector<std::string>& list, Memory memory, const std::uint64_t* a) {
  std::uint64_t bytes = 0;
  for (const std::string& item : list) bytes += item.size() + 1;
  if (bytes > UINT32_MAX) return answer(Errno::overflow);
  return answer(memory.store_u32(u32(a[0]), u32(list.size())) &&
                memory.store_u32(u32(a[1]), u32(bytes)));
}

Call list_get(const std::vector<std::string>& list, Memory memory, const std::uint64_t* a) {
  std::uint32_t pointer = u32(a[0]), at = u32(a[1]);
  for (const std::string& item : list) {
    const std::uint32_t bytes = u32(item.size()) + 1;
    const auto to = memory.slice(at, bytes);
    if (!to || !memory.store_u32(pointer, at)) return answer(Errno::fault);
    std::memcpy(to->data(), item.c_str(), bytes);
    pointer += 4;
    at += bytes;
  }
  return answer(Errno::success);
}

Call args_get(Guest& guest, Memory memory, const std::uint64_t* a) {
  return list_get(guest.args(), memory, a);
}
Call args_sizes_get(Guest& guest, Memory memory, const std::uint64_t* a) {
  return list_sizes(guest.args(), memory, a);
}
Call environ_get(Guest& guest, Memory memory, const std::uint64_t* a) {
  return list_get(guest.env(), memory, a);
}
Call environ_sizes_get(Guest& guest, Memory memory, const std::uint64_t* a) {
  return list_sizes(guest.env(), memory, a);
}

// --- clocks, randomness, process

Call clock_res_get(Guest& guest, Memory memory, const std::uint64_t* a) {
  if (!clock_now(guest, u32(a[0]))) return answer(Errno::inval);
  return answer(memory.store_u64(u32(a[1]), 1));
}

Call clock_time_get(Guest& guest, Memory memory, const std::uint64_t* a) {
  const auto now = clock_now(guest, u32(a[0]));
  if (!now) return answer(Errno::inval);
  return answer(memory.store_u64(u32(a[2]), *now));
}

Call random_get(Guest& guest, Memory memory, const std::uint64_t* a) {
  const auto out = memory.slice(u32(a[0]), u32(a[1]));
  if (!out) return answer(Errno::fault);
  guest.random(*out);
  return answer(Errno::success);
}

Call proc_exit(Guest& /*guest*/, Memory /*memory*/, const std::uint64_t* a) {
  return {Call::Kind::exited, u32(a[0])};
}

Call sched_yield(Guest& /*guest*/, Memory /*memory*/, const std::uint64_t* /*a*/) {
  return answer(Errno::success);
}

Call unsupported(Guest& /*guest*/, Memory /*memory*/, const std::uint64_t* /*a*/) {
  return answer(Errno::notsup);
}

// --- what does not exist here

// Functions that need a file, directory or socket: an error by what the descriptor is instead.
template <Errno if_stream>
Call needs_other(Guest& guest, Memory /*memory*/, const std::uint64_t* a) {
  return answer(guest.descriptor(u32(a[0])) == nullptr ? Errno::badf : if_stream);
}
constexpr auto needs_seek = needs_other<Errno::spipe>;
constexpr auto needs_file = needs_other<Errno::inval>;
constexpr auto needs_directory = needs_other<Errno::notdir>;
constexpr auto needs_socket = needs_other<Errno::notsock>;

Call path_symlink(Guest& guest, Memory memory, const std::uint64_t* a) {
  return needs_directory(guest, memory, a + 2);  // its directory is the third parameter
}

constexpr std::array kFunctions = {
    Function{"args_get", "ii", true, args_get},
    Function{"args_sizes_get", "ii", true, args_sizes_get},
    Function{"environ_get", "ii", true, environ_get},
    Function{"environ_sizes_get", "ii", true, environ_sizes_get},
    Function{"clock_res_get", "ii", true, clock_res_get},
    Function{"clock_time_get", "iIi", true, clock_time_get},
    Function{"fd_advise", "iIIi", true, needs_seek},
    Function{"fd_allocate", "iII", true, needs_file},
    Function{"fd_close", "i", true, fd_close},
    Function{"fd_datasync", "i", true, needs_file},
    Function{"fd_fdstat_get", "ii", true, fd_fdstat_get},
    Function{"fd_fdstat_set_flags", "ii", true, fd_fdstat_set_flags},
    Function{"fd_fdstat_set_rights", "iII", true, fd_fdstat_set_rights},
    Function{"fd_filestat_get", "ii", true, fd_filestat_get},
    Function{"fd_filestat_set_size", "iI", true, needs_file},
    Function{"fd_filestat_set_times", "iIIi", true, needs_file},
    Function{"fd_pread", "iiiIi", true, needs_seek},
    Function{"fd_prestat_get", "ii", true, needs_directory},
    Function{"fd_prestat_dir_name", "iii", true, needs_directory},
    Function{"fd_pwrite", "iiiIi", true, needs_seek},
    Function{"fd_read", "iiii", true, fd_read},
    Function{"fd_readdir", "iiiIi", true, needs_directory},
    Function{"fd_renumber", "ii", true, fd_renumber},
    Function{"fd_seek", "iIii", true, needs_seek},
    Function{"fd_sync", "i", true, needs_file},
    Function{"fd_tell", "ii", true, needs_seek},
    Function{"fd_write", "iiii", true, fd_write},
    Function{"path_create_directory", "iii", true, needs_directory},
    Function{"path_filestat_get", "iiiii", true, needs_directory},
    Function{"path_filestat_set_times", "iiiiIIi", true, needs_directory},
    Function{"path_link", "iiiiiii", true, needs_directory},
    Function{"path_open", "iiiiiIIii", true, needs_directory},
    Function{"path_readlink", "iiiiii", true, needs_directory},
    Function{"path_remove_directory", "iii", true, needs_directory},
    Function{"path_rename", "iiiiii", true, needs_directory},
    Function{"path_symlink", "iiiii", true, path_symlink},
    Function{"path_unlink_file", "iii", true, needs_directory},
    Function{"poll_oneoff", "iiii", true, poll_oneoff},
    Function{"proc_exit", "i", false, proc_exit},
    Function{"proc_raise", "i", true, unsupported},
    Function{"sched_yield", "", true, sched_yield},
    Function{"random_get", "ii", true, random_get},
    Function{"sock_accept", "iii", true, needs_socket},
    Function{"sock_recv", "iiiiii", true, needs_socket},
    Function{"sock_send", "iiiii", true, needs_socket},
    Function{"sock_shutdown", "ii", true, needs_socket},
};
static_assert(std::ranges::all_of(kFunctions, [](const Function& f) {
  return f.parameters.size() <= kParametersMax;
}));

}  // namespace

std::span<const Function> functions() noexcept {
  return kFunctions;
}

Guest::Guest(Config config, World& world) : config_(std::move(config)), world_(world) {
  args_.reserve(config_.args.size() + 1);
  args_.emplace_back("module");
  args_.insert(args_.end(), config_.args.begin(), config_.args.end());
  for (const auto& [name, value] : config_.env) env_.push_back(name + "=" + value);
  constexpr std::uint64_t common = kRightFdstatSetFlags | kRightFilestatGet | kRightPoll;
  using Kind = Descriptor::Kind;
  descriptors_ = {Descriptor{Kind::in, 0, common | kRightFdRead},
                  Descriptor{Kind::out, 0, common | kRightFdWrite},
                  Descriptor{Kind::err, 0, common | kRightFdWrite}};
}

Guest::Descriptor* Guest::descriptor(std::uint32_t fd) noexcept {
  if (fd >= descriptors_.size() || descriptors_[fd].kind == Descriptor::Kind::closed) {
    return nullptr;
  }
  return &descriptors_[fd];
}

void Guest::random(std::span<std::uint8_t> out) {
  constexpr std::size_t kBlock = 64;
  static constexpr std::array<unsigned char, crypto_stream_chacha20_NONCEBYTES> kNonce{};
  while (!out.empty()) {
    // Whole blocks in one call; a part of a block through a buffer.
    const std::size_t skip = random_offset_ % kBlock;
    const std::uint64_t block = random_offset_ / kBlock;
    std::size_t done = out.size() / kBlock * kBlock;
    if (skip == 0 && done > 0) {
      std::memset(out.data(), 0, done);
      crypto_stream_chacha20_xor_ic(out.data(), out.data(), done, kNonce.data(), block,
                                    config_.random_seed.data());
    } else {
      std::array<unsigned char, kBlock> buffer{};
      crypto_stream_chacha20_xor_ic(buffer.data(), buffer.data(), kBlock, kNonce.data(), block,
                                    config_.random_seed.data());
      done = std::min(out.size(), kBlock - skip);
      std::memcpy(out.data(), buffer.data() + skip, done);
    }
    random_offset_ += done;
    out = out.subspan(done);
  }
}

}  // namespace phase::wasi
