#include "worker/wasm/wasm_work.h"

#include <algorithm>
#include <new>

#include "worker/sandbox/mapping.h"
#include "worker/wasm/about.h"
#include "worker/wasm/channel_world.h"

namespace phase::worker {
namespace {

constexpr int kExitParentUnclear = 76;  // EX_PROTOCOL

Result<void> say(int socket, ByteView head, ByteView body = {}) {
  PHASE_TRY_VOID(sandbox::send_message(socket, head, body));
  return {};
}

Result<void> run_job(Engine& engine, const Start& start, int file, int socket) {
  const auto& limits = start.job.limits;
  // Lower than the process limit and exact: what the job may have, and what running it takes.
  PHASE_TRY_VOID(sandbox::limit_data(limits.memory_bytes +
                                     std::min<std::uint64_t>(limits.table_elements, UINT32_MAX) *
                                         kTableElementBytes +
                                     2 * start.compiled_bytes + kRunOverheadBytes));
  const sandbox::Mapping compiled(file, start.compiled_bytes);
  if (!compiled.valid()) return fail(Code::io, "mapping a compiled module failed");
  ChannelWorld world(socket, limits.output_bytes);
  return say(socket, encode(engine.run(compiled.view(), start.job, world)));
}

Result<void> compile_module(const Compile& request, int file, int socket) {
  PHASE_TRY_VOID(sandbox::limit_data(request.memory_bytes_max));
  const sandbox::Mapping module(file, request.module_bytes);
  if (!module.valid()) return fail(Code::io, "mapping a module failed");
  // An engine of its own: the zygote's must not have started threads.
  PHASE_TRY(Engine engine,
            Engine::make({.profile = request.profile, .parallel = request.threads > 1}));
  const auto compiled = engine.compile(module.view());
  if (!compiled) return say(socket, encode(compiled.error()));
  if (compiled->size() > request.compiled_bytes_max) {
    return say(socket,
               encode(Refused{RefusalReason::too_large, "the compiled module is too large"}));
  }
  for (ByteView rest = *compiled; !rest.empty();) {
    const ByteView piece = rest.first(std::min(rest.size(), sandbox::kPieceBytesMax));
    PHASE_TRY_VOID(say(socket, ByteView(&kCompiledPieceTag, 1), piece));
    rest = rest.subspan(piece.size());
  }
  return say(socket, encode(CompiledEnd{compiled->size()}));
}

}  // namespace

Engine& WasmWork::engine(job::Profile profile) {
  return profile == job::Profile::det_1 ? *deterministic_ : *fast_;
}

Result<Bytes> WasmWork::prepare() {
  PHASE_TRY(fast_, Engine::make({}));
  PHASE_TRY(deterministic_, Engine::make({.profile = job::Profile::det_1}));
  PHASE_TRY(const Sha256 one, fast_->warm_up());
  PHASE_TRY(const Sha256 two, deterministic_->warm_up());
  return encode(About{Engine::runtime_name(), sha256(as_bytes(one.hex() + two.hex()))});
}

sandbox::Limits WasmWork::limits(sandbox::Role /*role*/) const {
  sandbox::Limits limits;
  limits.address_space_bytes = kAddressSpaceBytes;
  return limits;
}

int WasmWork::run(sandbox::Role role, int socket) {
  Bytes buffer(sandbox::kMessageBytesMax);
  if (role == sandbox::Role::execute) {
    for (Engine* engine : {&*fast_, &*deterministic_}) {
      const auto ready = engine->rehearse();
      if (!ready) return code_exit_status(ready.error().code);
    }
  }
  const auto received = sandbox::receive_message(socket, buffer);
  if (!received) return code_exit_status(received.error().code);
  if (received->kind == sandbox::Received::Kind::closed) return 0;  // never needed
  const auto message = decode_from_parent(ByteView(buffer).first(received->bytes));
  if (!message || received->descriptors.size() != 1) return kExitParentUnclear;
  const int file = received->descriptors[0].get();
  Result<void> done = fail(Code::protocol, "the message does not fit the role");
  if (const auto* start = std::get_if<Start>(&*message); start && role == sandbox::Role::execute) {
    done = run_job(engine(start->job.profile), *start, file, socket);
  } else if (const auto* compile = std::get_if<Compile>(&*message);
             compile && role == sandbox::Role::compile) {
    done = compile_module(*compile, file, socket);
  }
  return done ? 0 : code_exit_status(done.error().code);
}

}  // namespace phase::worker
