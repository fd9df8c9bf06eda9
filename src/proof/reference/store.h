// store.h — modules brought to life: WebAssembly 2.0 §4.5.3 (allocation), §4.5.4 (instantiation).
#pragma once

#include <deque>
#include <memory>
#include <span>

#include "proof/reference/lower.h"
#include "proof/reference/machine.h"

namespace phase::reference {

/// Named limits of one run; a run that reaches one ends with Stop::stack.
inline constexpr std::size_t kStackSlotsMax = 1U << 20U;
inline constexpr std::size_t kFramesMax = 1U << 16U;
/// Elements a table may grow to; more is refused, as §4.4.6 allows.
inline constexpr std::uint32_t kTableSizeMax = 10'000'000;

/// §4.2.12: something that modules share, with its type.
struct External {
  ExternalKind kind = ExternalKind::function;
  Function* function = nullptr;
  Table* table = nullptr;
  Memory* memory = nullptr;
  Global* global = nullptr;
  TableType table_type;  ///< its limits: the present size, and the most
  Limits memory_type;    ///< likewise
  GlobalType global_type;
};

/// A module instance. Lives as long as its Store.
class Linked {
 public:
  /// Null when the module exports nothing of that name.
  [[nodiscard]] const External* exported(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, External, std::less<>>& exports() const {
    return exports_;
  }
  [[nodiscard]] Instance& instance() { return raw_; }
  /// §4.5.4 steps 14–16: writes active segments, in order. Stop::none, or why it stopped; what was
  /// written before stays. Costs no fuel.
  [[nodiscard]] Stop write_segments();
  /// The start function, or null.
  [[nodiscard]] const Function* start() const { return start_; }

 private:
  friend class Store;
  const Program* program_ = nullptr;
  Instance raw_;
  std::vector<std::uint32_t> types_;
  std::vector<Function*> functions_;
  std::vector<Table*> tables_;
  std::vector<TableType> table_types_;
  std::vector<Memory*> memories_;
  std::vector<Limits> memory_types_;
  std::vector<Global*> globals_;
  std::vector<GlobalType> global_types_;
  std::vector<DataSegment> data_;
  std::vector<ElementSegment> elements_;
  std::vector<std::vector<Slot>> references_;  ///< of the segments
  std::map<std::string, External, std::less<>> exports_;
  const Function* start_ = nullptr;

  [[nodiscard]] Slot evaluate(const Constant& constant) const;
};

/// Owns functions, tables, memories and globals of modules that may be linked together.
/// Not thread-safe.
class Store {
 public:
  Store() = default;
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Links `imports`, one for each of the program's in order, and allocates the rest; segments are
  /// not written yet. `program` must outlive the store. `pages_max` and `table_size_max` cap the
  /// memories and tables it defines.
  /// Errors: Code::invalid_argument for an import of another type; Code::too_large when a memory or
  /// table begins above its cap.
  [[nodiscard]] Result<Linked*> link(const Program& program, std::span<const External> imports,
                                     std::uint32_t pages_max = kPagesMax,
                                     std::uint32_t table_size_max = kTableSizeMax);

  [[nodiscard]] Function* add_host(const FunctionType& type, HostFunction call, void* context);
  [[nodiscard]] Result<External> add_table(const TableType& type, std::uint32_t size_max);
  [[nodiscard]] Result<External> add_memory(const Limits& limits, std::uint32_t pages_max);
  [[nodiscard]] External add_global(const GlobalType& type, Slot value);
  [[nodiscard]] Types& types() { return types_; }

 private:
  [[nodiscard]] Result<void> import(const Program& program, const Import& import,
                                    const External& given, Linked& to);
  [[nodiscard]] Result<void> define(const Program& program, Linked& to, std::uint32_t pages_max,
                                    std::uint32_t table_size_max);
  void define_functions(const Program& program, Linked& to);
  static void export_all(const Program& program, Linked& to);
  [[nodiscard]] void* reserve(std::size_t bytes);

  Types types_;
  std::deque<Function> functions_;
  std::deque<Table> tables_;
  std::deque<Memory> memories_;
  std::deque<Global> globals_;
  std::deque<Linked> instances_;
  std::vector<std::pair<void*, std::size_t>> reserved_;
};

/// What a call came to.
struct Ran {
  Stop stop = Stop::none;
  std::vector<Slot> results;   ///< with Stop::returned
  std::int64_t fuel_left = 0;  ///< exact after a return, a trap or a host's end; below zero: the
                               ///< run used more than it had
};

/// Stack and frames of one thread of execution.
class Thread {
 public:
  Thread();
  /// Calls `function` with as many `parameters` as it takes.
  [[nodiscard]] Ran call(const Function& function, std::span<const Slot> parameters,
                         std::int64_t fuel);

 private:
  std::vector<Frame> frames_;
  std::unique_ptr<Slot[]> stack_;
};

}  // namespace phase::reference
