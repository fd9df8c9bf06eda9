#include "proof/reference/job_run.h"

#include <algorithm>
#include <array>
#include <deque>

#include "wasi/deterministic.h"

namespace phase::reference {
namespace {

class JobRun final : public wasi::FuelMeter {
 public:
  JobRun(const Program& program, const job::WasmJob& job, wasi::World& world)
      : program_(program),
        job_(job),
        world_(world, *this),
        guest_({job.args, job.env, job.clock_start_ns, job.random_seed, true}, world_),
        fuel_(static_cast<std::int64_t>(std::min<std::uint64_t>(job.limits.fuel, INT64_MAX))),
        fuel_left_(fuel_) {}

  Result<JobEnd> run() {
    if (const auto limit = begins_too_large()) return JobEnd{*limit, Stop::none, 0, 0};
    PHASE_TRY(const std::vector<External> imports, bind());
    const auto pages = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(job_.limits.memory_bytes / kPageBytes, kPagesMax));
    PHASE_TRY(module_, store_.link(program_, imports, pages, table_size_max()));
    return live();
  }

  std::uint64_t fuel_used() override { return static_cast<std::uint64_t>(fuel_ - fuel_left_); }

 private:
  struct Bound {
    JobRun* self;
    const wasi::Function* function;
  };

  [[nodiscard]] std::uint32_t table_size_max() const {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(job_.limits.table_elements, kTableSizeMax));
  }

  [[nodiscard]] std::optional<JobEnd::Kind> begins_too_large() const {
    for (const Limits& memory : program_.module.memories) {
      if (std::uint64_t{memory.min} * kPageBytes > job_.limits.memory_bytes) {
        return JobEnd::Kind::memory_limit;
      }
    }
    for (const TableType& table : program_.module.tables) {
      if (table.limits.min > table_size_max()) return JobEnd::Kind::table_limit;
    }
    return std::nullopt;
  }

  static FunctionType type_of(const wasi::Function& function) {
    FunctionType out;
    for (const char letter : function.parameters) {
      out.parameters.push_back(letter == 'I' ? ValueType::i64 : ValueType::i32);
    }
    if (function.has_result) out.results.push_back(ValueType::i32);
    return out;
  }

  Result<std::vector<External>> bind() {
    std::vector<External> out;
    for (const Import& import : program_.module.imports) {
      const auto found = std::ranges::find(wasi::functions(), import.name, &wasi::Function::name);
      if (import.module != wasi::kModuleName || found == wasi::functions().end()) {
        return fail(Code::not_found,
                    "undefined import " + printable(import.module) + "." + printable(import.name));
      }
      External external;
      external.function =
          store_.add_host(type_of(*found), call_wasi, &bound_.emplace_back(Bound{this, &*found}));
      out.push_back(external);
    }
    return out;
  }

  static void call_wasi(Machine& machine, void* context, Slot* values) {
    const Bound& bound = *static_cast<const Bound*>(context);
    JobRun& self = *bound.self;
    self.fuel_left_ = machine.fuel;
    std::array<std::uint64_t, wasi::kParametersMax> arguments{};
    std::copy_n(values, bound.function->parameters.size(), arguments.begin());
    self.last_ = bound.function->run(self.guest_, self.memory(), arguments.data());
    if (self.last_.kind != wasi::Call::Kind::returned) return machine.end(Stop::host);
    if (bound.function->has_result) values[0] = self.last_.value;
  }

  /// As other hosts of WASI find it: by its exported name.
  wasi::Memory memory() {
    const External* exported = module_->exported("memory");
    if (exported == nullptr || exported->kind != ExternalKind::memory) return wasi::Memory({});
    return wasi::Memory({exported->memory->bytes, exported->memory->length()});
  }

  JobEnd live() {
    if (const Stop stop = module_->write_segments(); stop != Stop::none) return ended(stop);
    if (module_->start() != nullptr) {
      const Stop stop = call(*module_->start());
      if (stop != Stop::returned) return ended(stop);
    }
    // A reactor is to be initialised before any other export (WASI, application ABI).
    if (job_.entry != "_start") {
      const JobEnd initialised = call_export("_initialize");
      const bool absent = initialised.kind == JobEnd::Kind::entry_missing;
      const bool good =
          initialised.kind == JobEnd::Kind::exited && last_.kind == wasi::Call::Kind::returned;
      if (!absent && !good) return initialised;
    }
    return call_export(job_.entry);
  }

  JobEnd call_export(std::string_view name) {
    const External* exported = module_->exported(name);
    if (exported == nullptr) return {JobEnd::Kind::entry_missing, Stop::none, 0, fuel_used()};
    const Function* function = exported->function;
    if (exported->kind != ExternalKind::function || function->parameters != 0 ||
        function->results != 0) {
      return {JobEnd::Kind::entry_type, Stop::none, 0, fuel_used()};
    }
    return ended(call(*function));
  }

  Stop call(const Function& function) {
    const Ran ran = thread_.call(function, {}, fuel_left_);
    fuel_left_ = ran.fuel_left;
    return ran.stop;
  }

  JobEnd ended(Stop stop) {
    using Kind = JobEnd::Kind;
    if (is_trap(stop)) return {Kind::trapped, stop, 0, fuel_used()};
    if (is_limit(stop)) return {Kind::limited, stop, 0, fuel_used()};
    if (stop == Stop::host && last_.kind == wasi::Call::Kind::stopped) {
      return {Kind::output_limit, Stop::none, 0, fuel_used()};
    }
    const bool by_call = last_.kind == wasi::Call::Kind::exited;
    return {Kind::exited, Stop::none, by_call ? last_.value : 0, fuel_used()};
  }

  const Program& program_;
  const job::WasmJob& job_;
  wasi::DeterministicWorld world_;
  wasi::Guest guest_;
  std::int64_t fuel_;
  std::int64_t fuel_left_;
  std::deque<Bound> bound_;
  Store store_;
  Thread thread_;
  Linked* module_ = nullptr;
  wasi::Call last_;
};

}  // namespace

Result<JobEnd> run_job(const Program& program, const job::WasmJob& job, wasi::World& world) {
  return JobRun(program, job, world).run();
}

}  // namespace phase::reference
