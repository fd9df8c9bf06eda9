#include "worker/wasm/engine.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include <time.h>
#include <wasm.h>
#include <wasmtime.h>

#include "wasi/deterministic.h"
#include "worker/wasm/engine_config.h"
#include "worker/wasm/module_form.h"

namespace phase::worker {
namespace {

template <typename T, void (*destroy)(T*)>
struct Destroy {
  void operator()(T* object) const { destroy(object); }
};
template <typename T, void (*destroy)(T*)>
using Owned = std::unique_ptr<T, Destroy<T, destroy>>;

using EngineHandle = Owned<wasm_engine_t, wasm_engine_delete>;
using LinkerHandle = Owned<wasmtime_linker_t, wasmtime_linker_delete>;
using ModuleHandle = Owned<wasmtime_module_t, wasmtime_module_delete>;
using StoreHandle = Owned<wasmtime_store_t, wasmtime_store_delete>;
using InstancePreHandle = Owned<wasmtime_instance_pre_t, wasmtime_instance_pre_delete>;
using TrapHandle = Owned<wasm_trap_t, wasm_trap_delete>;
using ErrorHandle = Owned<wasmtime_error_t, wasmtime_error_delete>;
using FunctypeHandle = Owned<wasm_functype_t, wasm_functype_delete>;

// In front of every compiled module.
struct Header {
  std::array<char, 8> magic;
  std::uint64_t memory_bytes_min;
  std::uint64_t table_elements_min;
  std::uint64_t start;  // 1 + the index of the export that is the start function; 0: none
};
/// The engine counts in signed numbers.
constexpr std::uint64_t kFuelMax = INT64_MAX - 1;
constexpr std::array<char, 8> kHeaderMagic = {'p', 'h', 'a', 's', 'e', 'w', 'm', '1'};

std::string message_of(const ErrorHandle& error) {
  wasm_name_t text;
  wasmtime_error_message(error.get(), &text);
  std::string out(text.data, text.size);
  wasm_name_delete(&text);
  // A chain of causes comes as lines; the first says what, the rest where.
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

/// What a store's run has used.
class StoreFuel final : public wasi::FuelMeter {
 public:
  /// False: the engine does not count.
  [[nodiscard]] bool begin(wasmtime_context_t* context, std::uint64_t fuel) {
    context_ = context;
    budget_ = std::min(fuel, kFuelMax - 1) + 1;
    const ErrorHandle refused(wasmtime_context_set_fuel(context, budget_));
    return !refused;
  }
  std::uint64_t fuel_used() override {
    if (context_ == nullptr) return 0;  // nothing of the module ran yet
    std::uint64_t left = 0;
    const ErrorHandle unknown(wasmtime_context_get_fuel(context_, &left));
    return unknown ? 0 : budget_ - std::min(left, budget_);
  }

 private:
  wasmtime_context_t* context_ = nullptr;
  std::uint64_t budget_ = 0;
};

// One run, as host functions find it through the store.
struct Run {
  StoreFuel& meter;
  wasi::Guest guest;
  bool memory_known = false;
  wasmtime_memory_t memory{};
  wasi::Call last{};  // what ended the guest, when not `returned`
};

std::span<std::uint8_t> memory_of(Run& run, wasmtime_caller_t* caller,
                                  wasmtime_context_t* context) {
  if (!run.memory_known) {
    wasmtime_extern_t item;
    constexpr std::string_view kName = "memory";
    if (!wasmtime_caller_export_get(caller, kName.data(), kName.size(), &item)) return {};
    if (item.kind == WASMTIME_EXTERN_MEMORY) {
      run.memory = item.of.memory;
      run.memory_known = true;
    }
    wasmtime_extern_delete(&item);
    if (!run.memory_known) return {};
  }
  return {wasmtime_memory_data(context, &run.memory),
          wasmtime_memory_data_size(context, &run.memory)};
}

wasm_trap_t* call_wasi(void* environment, wasmtime_caller_t* caller, wasmtime_val_raw_t* values,
                       std::size_t /*count*/) {
  const auto& function = *static_cast<const wasi::Function*>(environment);
  wasmtime_context_t* context = wasmtime_caller_context(caller);
  Run& run = *static_cast<Run*>(wasmtime_context_get_data(context));
  std::array<std::uint64_t, wasi::kParametersMax> arguments;
  for (std::size_t i = 0; i < function.parameters.size(); i++) {
    arguments[i] = function.parameters[i] == 'I' ? static_cast<std::uint64_t>(values[i].i64)
                                                 : static_cast<std::uint32_t>(values[i].i32);
  }
  const wasi::Call call =
      function.run(run.guest, wasi::Memory(memory_of(run, caller, context)), arguments.data());
  if (call.kind == wasi::Call::Kind::returned) {
    if (function.has_result) values[0].i32 = static_cast<std::int32_t>(call.value);
    return nullptr;
  }
  run.last = call;
  constexpr std::string_view kWhy = "the guest ends here";
  return wasmtime_trap_new(kWhy.data(), kWhy.size());
}

FunctypeHandle functype(const wasi::Function& function) {
  std::vector<wasm_valtype_t*> types;
  for (const char letter : function.parameters) {
    types.push_back(wasm_valtype_new(letter == 'I' ? WASM_I64 : WASM_I32));
  }
  wasm_valtype_vec_t parameters, results;
  wasm_valtype_vec_new(&parameters, types.size(), types.data());
  if (function.has_result) {
    wasm_valtype_t* i32 = wasm_valtype_new(WASM_I32);
    wasm_valtype_vec_new(&results, 1, &i32);
  } else {
    wasm_valtype_vec_new_empty(&results);
  }
  return FunctypeHandle(wasm_functype_new(&parameters, &results));
}

End end_of_trap(const wasm_trap_t* trap) {
  wasmtime_trap_code_t code = 0;
  if (!wasmtime_trap_code(trap, &code)) return End::trap_other;
  switch (code) {
    case WASMTIME_TRAP_CODE_OUT_OF_FUEL:
      return End::out_of_fuel;
    case WASMTIME_TRAP_CODE_STACK_OVERFLOW:
      return End::trap_stack_overflow;
    case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:
      return End::trap_memory_out_of_bounds;
    case WASMTIME_TRAP_CODE_HEAP_MISALIGNED:
      return End::trap_heap_misaligned;
    case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS:
      return End::trap_table_out_of_bounds;
    case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:
      return End::trap_indirect_call_to_null;
    case WASMTIME_TRAP_CODE_BAD_SIGNATURE:
      return End::trap_bad_signature;
    case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:
      return End::trap_integer_overflow;
    case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:
      return End::trap_integer_divide_by_zero;
    case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER:
      return End::trap_bad_conversion_to_integer;
    case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED:
      return End::trap_unreachable;
    case WASMTIME_TRAP_CODE_NULL_REFERENCE:
      return End::trap_null_reference;
    default:
      return End::trap_other;
  }
}

std::uint64_t process_cpu_us() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

// A module that does what most do: writes something.
constexpr std::string_view kWarmUpModule = R"((module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\01\00\00\00w")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12))))))";

class NoWorld final : public wasi::World {
 public:
  std::optional<std::size_t> read_stdin(std::span<std::uint8_t>) override { return 0; }
  std::optional<bool> wait(bool, std::optional<std::uint64_t>) override { return true; }
  bool write(wasi::Stream, ByteView) override { return true; }
  std::uint64_t elapsed_ns() override { return 0; }
  std::uint64_t cpu_ns() override { return 0; }
};

}  // namespace

// What of a job the engine goes by.
struct RunOf {
  std::string_view entry;
  std::uint64_t fuel;
  std::uint64_t start_export;  ///< Header::start
};

struct Engine::Parts {
  job::Profile profile = job::Profile::fast;
  EngineHandle engine;
  LinkerHandle linker;
  Bytes warm_up_module;  // compiled

  tl::expected<void, Refused> check_imports(const wasmtime_module_t* module) const;
  // Instantiates and calls.
  End execute(Run& run, wasmtime_context_t* context, const wasmtime_module_t* module,
              const RunOf& what) const;
  // Calls a function without parameters and results. Nothing: it ended normally.
  std::optional<End> call(Run& run, wasmtime_context_t* context,
                          const wasmtime_extern_t& item) const;
  std::optional<End> call(Run& run, wasmtime_context_t* context,
                          const wasmtime_instance_t& instance, std::string_view name,
                          bool required) const;
};

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

std::string Engine::runtime_name() {
  return "wasmtime-" + std::to_string(WASMTIME_VERSION_MAJOR);
}

Result<Engine> Engine::make(const EngineSettings& settings) {
  auto parts = std::make_unique<Parts>();
  parts->profile = settings.profile;
  parts->engine.reset(wasm_engine_new_with_config(make_engine_config(settings)));
  if (!parts->engine) return fail(Code::internal, "the WebAssembly engine could not be made");
  parts->linker.reset(wasmtime_linker_new(parts->engine.get()));
  for (const wasi::Function& function : wasi::functions()) {
    const FunctypeHandle type = functype(function);
    const ErrorHandle error(wasmtime_linker_define_func_unchecked(
        parts->linker.get(), wasi::kModuleName.data(), wasi::kModuleName.size(),
        function.name.data(), function.name.size(), type.get(), call_wasi,
        const_cast<wasi::Function*>(&function), nullptr));
    if (error) return fail(Code::internal, "defining WASI failed: " + message_of(error));
  }
  return Engine(std::move(parts));
}

Result<Sha256> Engine::warm_up() {
  wasm_byte_vec_t binary;
  const ErrorHandle error(wasmtime_wat2wasm(kWarmUpModule.data(), kWarmUpModule.size(), &binary));
  if (error) return fail(Code::internal, "the warm-up module is wrong: " + message_of(error));
  const Bytes module(binary.data, binary.data + binary.size);
  wasm_byte_vec_delete(&binary);
  auto compiled = compile(module);
  if (!compiled) return fail(Code::internal, "the warm-up module: " + compiled.error().detail);
  parts_->warm_up_module = *std::move(compiled);
  PHASE_TRY_VOID(rehearse());
  // Machine code is stored with version, target, processor features and settings of its engine; so
  // this changes whenever one of them does.
  return sha256(parts_->warm_up_module);
}

Result<void> Engine::rehearse() {
  NoWorld world;
  const RunReport report = run(parts_->warm_up_module, job::WasmJob{}, world);
  if (report.end != End::exited) return fail(Code::internal, "the warm-up module did not run");
  return {};
}

tl::expected<void, Refused> Engine::Parts::check_imports(const wasmtime_module_t* module) const {
  wasm_importtype_vec_t imports;
  wasmtime_module_imports(module, &imports);
  std::optional<std::string> undefined;
  for (std::size_t i = 0; i < imports.size && !undefined; i++) {
    const wasm_name_t* space = wasm_importtype_module(imports.data[i]);
    const wasm_name_t* name = wasm_importtype_name(imports.data[i]);
    const std::string_view space_text(space->data, space->size), name_text(name->data, name->size);
    const bool known = space_text == wasi::kModuleName &&
                       std::ranges::find(wasi::functions(), name_text, &wasi::Function::name) !=
                           wasi::functions().end();
    if (!known) undefined = std::string(space_text) + "." + std::string(name_text);
  }
  wasm_importtype_vec_delete(&imports);
  if (undefined) return tl::unexpected(Refused{RefusalReason::import_undefined, *undefined});
  // Names are right; types the linker compares.
  wasmtime_instance_pre_t* pre = nullptr;
  const ErrorHandle error(wasmtime_linker_instantiate_pre(linker.get(), module, &pre));
  const InstancePreHandle owned(pre);
  if (error) return tl::unexpected(Refused{RefusalReason::import_undefined, message_of(error)});
  return {};
}

tl::expected<Bytes, Refused> Engine::compile(ByteView bytes) {
  const ErrorHandle invalid(
      wasmtime_module_validate(parts_->engine.get(), bytes.data(), bytes.size()));
  if (invalid) return tl::unexpected(Refused{RefusalReason::module_malformed, message_of(invalid)});
  const auto form = decode_form(bytes);
  if (!form) return tl::unexpected(Refused{RefusalReason::module_malformed, form.error().message});
  Bytes without_start;
  if (form->start) {
    auto changed = start_as_export(bytes);
    if (!changed) {
      return tl::unexpected(Refused{RefusalReason::module_malformed, changed.error().message});
    }
    without_start = *std::move(changed);
    bytes = without_start;
  }
  wasmtime_module_t* raw = nullptr;
  const ErrorHandle error(
      wasmtime_module_new(parts_->engine.get(), bytes.data(), bytes.size(), &raw));
  const ModuleHandle module(raw);
  if (error) return tl::unexpected(Refused{RefusalReason::module_malformed, message_of(error)});
  if (form->memories > 1 || form->tables > 1) {
    return tl::unexpected(
        Refused{RefusalReason::module_malformed, "more than one memory or table"});
  }
  if (auto imports = parts_->check_imports(module.get()); !imports) {
    return tl::unexpected(imports.error());
  }
  wasm_byte_vec_t serialized;
  const ErrorHandle failed(wasmtime_module_serialize(module.get(), &serialized));
  if (failed) return tl::unexpected(Refused{RefusalReason::too_large, message_of(failed)});
  const Header header{kHeaderMagic, form->memory_bytes_min, form->table_elements_min,
                      form->start ? std::uint64_t{form->exports} + 1 : 0};
  Bytes out(sizeof header + serialized.size);
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, serialized.data, serialized.size);
  wasm_byte_vec_delete(&serialized);
  return out;
}

std::optional<End> Engine::Parts::call(Run& run, wasmtime_context_t* context,
                                       const wasmtime_extern_t& item) const {
  if (item.kind != WASMTIME_EXTERN_FUNC) return End::entry_type;
  const FunctypeHandle type(wasmtime_func_type(context, &item.of.func));
  if (wasm_functype_params(type.get())->size != 0 || wasm_functype_results(type.get())->size != 0) {
    return End::entry_type;
  }
  wasm_trap_t* raw_trap = nullptr;
  const ErrorHandle error(
      wasmtime_func_call(context, &item.of.func, nullptr, 0, nullptr, 0, &raw_trap));
  const TrapHandle trap(raw_trap);
  if (run.last.kind == wasi::Call::Kind::exited) return End::exited;
  if (run.last.kind == wasi::Call::Kind::stopped) return End::output_limit;
  if (trap) return end_of_trap(trap.get());
  if (error) return End::engine_failed;
  return std::nullopt;
}

std::optional<End> Engine::Parts::call(Run& run, wasmtime_context_t* context,
                                       const wasmtime_instance_t& instance, std::string_view name,
                                       bool required) const {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context, &instance, name.data(), name.size(), &item)) {
    return required ? std::optional(End::entry_missing) : std::nullopt;
  }
  const std::optional<End> end = call(run, context, item);
  wasmtime_extern_delete(&item);
  return end;
}

End Engine::Parts::execute(Run& run, wasmtime_context_t* context, const wasmtime_module_t* module,
                           const RunOf& what) const {
  // Instantiation only writes what the module says its memory and table begin with: that is free.
  const ErrorHandle unfuelled(wasmtime_context_set_fuel(context, kFuelMax));
  wasmtime_instance_t instance;
  wasm_trap_t* raw_trap = nullptr;
  const ErrorHandle error(
      wasmtime_linker_instantiate(linker.get(), context, module, &instance, &raw_trap));
  const TrapHandle trap(raw_trap);
  if (trap) return end_of_trap(trap.get());
  if (error || unfuelled) return End::engine_failed;
  // The engine stops a run when nothing is left; the budget is used up when more was needed.
  if (!run.meter.begin(context, what.fuel)) return End::engine_failed;

  std::optional<End> end;
  if (what.start_export != 0) {
    wasmtime_extern_t item;
    char* name = nullptr;
    std::size_t length = 0;
    if (!wasmtime_instance_export_nth(context, &instance, what.start_export - 1, &name, &length,
                                      &item)) {
      return End::engine_failed;
    }
    if (what.entry == std::string_view(name, length)) end = End::entry_missing;  // our name
    if (!end) end = call(run, context, item);
    wasmtime_extern_delete(&item);
  }
  // A reactor is to be initialised before any other export (WASI, application ABI).
  if (!end && what.entry != "_start") end = call(run, context, instance, "_initialize", false);
  if (!end) end = call(run, context, instance, what.entry, true);
  return end.value_or(End::exited);
}

RunReport Engine::run(ByteView compiled, const job::WasmJob& job, wasi::World& world) {
  RunReport report;
  Header header;
  if (compiled.size() <= sizeof header) return report;
  std::memcpy(&header, compiled.data(), sizeof header);
  if (header.magic != kHeaderMagic) return report;
  if (header.memory_bytes_min > job.limits.memory_bytes) return {.end = End::memory_limit};
  if (header.table_elements_min > job.limits.table_elements) return {.end = End::table_limit};

  const ByteView code = compiled.subspan(sizeof header);
  wasmtime_module_t* raw = nullptr;
  const ErrorHandle broken(
      wasmtime_module_deserialize(parts_->engine.get(), code.data(), code.size(), &raw));
  const ModuleHandle module(raw);
  if (broken) return report;

  const bool deterministic = parts_->profile == job::Profile::det_1;
  StoreFuel meter;
  wasi::DeterministicWorld by_fuel(world, meter);
  Run run{meter,
          wasi::Guest({job.args, job.env, job.clock_start_ns, job.random_seed, deterministic},
                      deterministic ? static_cast<wasi::World&>(by_fuel) : world)};
  const StoreHandle store(wasmtime_store_new(parts_->engine.get(), &run, nullptr));
  wasmtime_context_t* context = wasmtime_store_context(store.get());
  wasmtime_store_limiter(
      store.get(), static_cast<std::int64_t>(job.limits.memory_bytes),
      static_cast<std::int64_t>(std::min<std::uint64_t>(job.limits.table_elements, UINT32_MAX)), 1,
      1, 1);
  report.end =
      parts_->execute(run, context, module.get(), {job.entry, job.limits.fuel, header.start});
  if (report.end == End::exited && run.last.kind == wasi::Call::Kind::exited) {
    report.exit_code = run.last.value;
  }
  report.fuel_used = meter.fuel_used();
  if (report.end == End::exited && report.fuel_used > job.limits.fuel) {
    report.end = End::out_of_fuel;  // used since the engine looked last
    report.exit_code = 0;
  }
  if (run.memory_known) report.memory_bytes_peak = wasmtime_memory_data_size(context, &run.memory);
  report.cpu_us = process_cpu_us();
  return report;
}

}  // namespace phase::worker
