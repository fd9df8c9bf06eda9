#include "worker/wasm/compile.h"

#include <cerrno>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/wasm/execution.h"
#include "worker/wasm/message.h"

namespace phase::worker {
namespace {

// A copy of the module that the child can map and nobody can change.
Result<sandbox::FileDescriptor> sealed_copy(ByteView module) {
  sandbox::FileDescriptor file(::memfd_create("wasm", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return fail_errno(errno, "making a memory file failed");
  while (!module.empty()) {
    const ssize_t put = ::write(file.get(), module.data(), module.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return fail_errno(errno, "writing a memory file failed");
    module = module.subspan(static_cast<std::size_t>(put));
  }
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) {
    return fail_errno(errno, "sealing a memory file failed");
  }
  return file;
}

tl::unexpected<Error> refusal(const Refused& refused) {
  switch (refused.reason) {
    case RefusalReason::import_undefined:
      return fail(Code::malformed, "import_undefined: " + refused.detail);
    case RefusalReason::too_large:
      return fail(Code::too_large, "compile: " + refused.detail);
    case RefusalReason::module_malformed:
      break;
  }
  return fail(Code::malformed, "module_malformed: " + refused.detail);
}

// The compiler ended without a word.
Task<tl::unexpected<Error>> loss(sandbox::Child& child) {
  const auto status = co_await child.wait_exit(kExitStatusTimeout);
  if (status && status->signal == SIGXCPU) {
    co_return fail(Code::timed_out, "compile: it used more processor time than allowed");
  }
  // An allocation that fails aborts the compiler, and so does a fault it notices itself.
  if (status && status->code == sandbox::control::kExitAborted) {
    co_return fail(Code::too_large,
                   "compile: the compiler gave up, most likely for want of memory");
  }
  co_return fail(Code::internal, "the compiling process was lost");
}

Task<Result<ModuleWriter::Sealed>> collect(sandbox::Child& child, ModuleWriter writer) {
  Bytes buffer(sandbox::kMessageBytesMax);
  for (;;) {
    const auto got = co_await child.receive(buffer);
    if (!got || *got == 0) co_return co_await loss(child);
    PHASE_CO_TRY(const FromChild message, decode_from_child(ByteView(buffer).first(*got)));
    if (const auto* refused = std::get_if<Refused>(&message)) co_return refusal(*refused);
    if (const auto* piece = std::get_if<CompiledPiece>(&message)) {
      PHASE_CO_TRY_VOID(writer.append(piece->data));
    } else if (const auto* end = std::get_if<CompiledEnd>(&message)) {
      if (end->bytes == 0 || end->bytes != writer.bytes()) break;
      co_return std::move(writer).seal();
    } else {
      break;
    }
  }
  co_return fail(Code::internal, "the compiling process broke its protocol");
}

}  // namespace

Task<Result<ModuleWriter::Sealed>> compile_in_child(std::shared_ptr<sandbox::Child> child,
                                                    job::Profile profile, ByteView module,
                                                    ModuleWriter writer, CompileLimits limits) {
  PHASE_CO_TRY(const sandbox::FileDescriptor file, sealed_copy(module));
  const Bytes request = encode(
      Compile{module.size(), limits.compiled_bytes, limits.memory_bytes, limits.threads, profile});
  const int number = file.get();
  PHASE_CO_TRY_VOID(co_await child->send(request, {}, std::span(&number, 1)));

  const auto late = std::make_shared<bool>(false);
  asio::steady_timer deadline(co_await asio::this_coro::executor, limits.wall);
  deadline.async_wait([child, late](const boost::system::error_code& error) {
    if (error) return;
    *late = true;
    child->kill();
  });
  auto sealed = co_await collect(*child, std::move(writer));
  child->kill();
  if (!sealed && *late) co_return fail(Code::timed_out, "compile: it took longer than allowed");
  co_return sealed;
}

}  // namespace phase::worker
