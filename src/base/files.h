// files.h — small files, read whole and replaced whole. Everything here may block.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/descriptor.h"

namespace phase {

/// Opens with O_CLOEXEC. Errors: those of fail_errno, naming the path.
[[nodiscard]] Result<FileDescriptor> open_file(const std::filesystem::path& path, int flags,
                                               unsigned mode = 0600);
/// Writes all at `offset`. Errors: Code::io naming `what`; a full disk says so, with the way out.
[[nodiscard]] Result<void> write_at(int file, ByteView bytes, std::uint64_t offset,
                                    std::string_view what);
/// Reads exactly out.size() bytes at `offset`. Errors: Code::io, also when the file ends before.
[[nodiscard]] Result<void> read_at(int file, std::span<std::uint8_t> out, std::uint64_t offset,
                                   std::string_view what);
/// Error of a write: no room is told apart from a broken disk.
[[nodiscard]] tl::unexpected<Error> fail_write(int error_number, std::string_view what);

/// Makes what a folder lists durable. Errors: Code::io, …
[[nodiscard]] Result<void> sync_folder(const std::filesystem::path& folder);
/// Replaces a file whole: written beside, synced, renamed, folder synced. Errors: Code::io, …
[[nodiscard]] Result<void> write_file(const std::filesystem::path& path, std::string_view text);
/// A regular file of at most `bytes_max`. Errors: Code::not_found, too_large, io.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::size_t bytes_max);

}  // namespace phase
