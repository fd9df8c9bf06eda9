// spec_fixture.h — for tests: the scripts that rust/conformance writes, read (its main.rs says what
// a line means), and the interpreter as they expect a host to be.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "proof/reference/store.h"

namespace phase::reference {

/// `i32:7`, `f64:canonical`, `extern:1`, `null`, `func`.
struct SpecValue {
  std::string kind;
  std::string text;  ///< behind the colon
  [[nodiscard]] std::uint64_t bits() const {
    std::uint64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out, 16);
    return out;
  }
};

struct SpecCommand {
  std::string kind;
  int line = 0;
  std::string module;  ///< by name; empty: the last
  std::string verb;    ///< `invoke` or `get`, where there is an action
  std::string name;    ///< of the export; with `register`, what to import it by
  std::vector<SpecValue> arguments, results;
  Bytes bytes;

  [[nodiscard]] bool is_assertion() const {
    return kind != "text" && kind != "module" && kind != "register";
  }
};

namespace spec_fixture {

inline std::string word(std::istringstream& words) {
  std::string out;
  words >> out;
  return out;
}
inline Bytes hex(std::istringstream& words) {
  const std::string text = word(words);
  return text == "-" ? Bytes{} : from_hex(text).value();
}
inline std::string name(std::istringstream& words) {
  return std::string(as_text(hex(words)));
}
inline std::vector<SpecValue> values(std::istringstream& words) {
  std::vector<SpecValue> out;
  for (std::string next = word(words); !next.empty() && next != "="; next = word(words)) {
    const std::size_t colon = std::min(next.find(':'), next.size());
    out.push_back({next.substr(0, colon), next.substr(std::min(colon + 1, next.size()))});
  }
  return out;
}

}  // namespace spec_fixture

inline SpecCommand read_spec_command(const std::string& line) {
  using namespace spec_fixture;
  std::istringstream words(line);
  SpecCommand out;
  words >> out.kind >> out.line;
  if (out.kind == "text") return out;
  if (out.kind == "module") {
    out.module = name(words);
    out.bytes = hex(words);
  } else if (out.kind == "register") {
    out.name = name(words);
    out.module = name(words);
  } else if (out.kind == "return" || out.kind == "trap" || out.kind == "action" ||
             out.kind == "exhaustion") {
    out.verb = word(words);
    out.module = name(words);
    out.name = name(words);
    out.arguments = values(words);
    if (out.kind == "return") out.results = values(words);
  } else {
    out.bytes = hex(words);
  }
  return out;
}

/// Script by the name of its test; empty when PHASE_SPEC_SCRIPTS is not set.
inline std::map<std::string, std::vector<SpecCommand>> read_spec_scripts() {
  std::map<std::string, std::vector<SpecCommand>> out;
  const char* folder = std::getenv("PHASE_SPEC_SCRIPTS");
  if (folder == nullptr) return out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".script") continue;
    std::ifstream file(entry.path());
    auto& commands = out[entry.path().stem().string()];
    for (std::string line; std::getline(file, line);) commands.push_back(read_spec_command(line));
  }
  return out;
}

/// Modules by name, what they may import, and calls of what they export.
class SpecHost {
 public:
  static constexpr std::int64_t kFuel = 1'000'000'000'000;

  SpecHost() { add_spectest(); }

  /// Errors: as compile and link; Code::not_found for an unknown import.
  Result<Linked*> link(Bytes module) {
    modules_.push_back(std::move(module));
    PHASE_TRY(Program program, compile(modules_.back()));
    programs_.push_back(std::move(program));
    std::vector<External> imports;
    for (const Import& import : programs_.back().module.imports) {
      const auto from = registered_.find(import.module);
      const bool there = from != registered_.end() && from->second.contains(import.name);
      if (!there) return fail(Code::not_found, "unknown import " + import.name);
      imports.push_back(from->second.at(import.name));
    }
    return store_.link(programs_.back(), imports);
  }
  /// Segments and the start function.
  Stop begin(Linked& module) {
    if (const Stop written = module.write_segments(); written != Stop::none) return written;
    if (module.start() == nullptr) return Stop::returned;
    return thread_.call(*module.start(), {}, kFuel).stop;
  }
  /// It is the last one from now on.
  void keep(Linked& module, const std::string& name) {
    last_ = &module;
    if (!name.empty()) named_[name] = last_;
  }
  void register_as(const std::string& import_name, const std::string& name) {
    registered_[import_name] = of(name)->exports();
  }
  /// Empty: the last.
  Linked* of(const std::string& name) { return name.empty() ? last_ : named_.at(name); }

  Ran act(const SpecCommand& command) {
    const External* exported = of(command.module)->exported(command.name);
    if (exported == nullptr) {
      ADD_FAILURE() << "no export " << command.name;
      return {};
    }
    if (command.verb == "get") return {Stop::returned, {exported->global->value}, kFuel};
    std::vector<Slot> arguments;
    for (const SpecValue& value : command.arguments) arguments.push_back(slot(value));
    return thread_.call(*exported->function, arguments, kFuel);
  }

  static Slot slot(const SpecValue& value) {
    return value.kind == "extern" ? value.bits() + 1 : value.bits();  // null is 0
  }

 private:
  static void print(Machine& /*machine*/, void* /*context*/, Slot* /*values*/) {}

  void add_spectest() {
    auto& exports = registered_["spectest"];
    using enum ValueType;
    const auto function = [&](const char* name, std::vector<ValueType> parameters) {
      External out;
      out.function = store_.add_host({std::move(parameters), {}}, print, nullptr);
      exports[name] = out;
    };
    function("print", {});
    function("print_i32", {i32});
    function("print_i64", {i64});
    function("print_f32", {f32});
    function("print_f64", {f64});
    function("print_i32_f32", {i32, f32});
    function("print_f64_f64", {f64, f64});
    exports["global_i32"] = store_.add_global({i32, false}, 666);
    exports["global_i64"] = store_.add_global({i64, false}, 666);
    exports["global_f32"] = store_.add_global({f32, false}, 0x4426A666);
    exports["global_f64"] = store_.add_global({f64, false}, 0x4084D4CCCCCCCCCD);
    exports["table"] = store_.add_table({funcref, {10, 20}}, kTableSizeMax).value();
    exports["memory"] = store_.add_memory({1, 2}, kPagesMax).value();
  }

  std::deque<Bytes> modules_;
  std::deque<Program> programs_;
  Store store_;
  Thread thread_;
  Linked* last_ = nullptr;
  std::map<std::string, Linked*> named_;
  std::map<std::string, std::map<std::string, External, std::less<>>> registered_;
};

}  // namespace phase::reference
