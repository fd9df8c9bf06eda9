// The WebAssembly specification's tests, as scripts that rust/conformance writes (its main.rs says
// what a line means). PHASE_SPEC_SCRIPTS names their folder.
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include <gtest/gtest.h>

#include "proof/reference/float.h"
#include "proof/reference/store.h"

namespace phase::reference {
namespace {

constexpr std::int64_t kFuel = 1'000'000'000'000;
constexpr std::uint32_t kSpecPagesMax = 65'536;

void print(Machine& /*machine*/, void* /*context*/, Slot* /*values*/) {}

/// What one script makes: modules by name, and what they may import.
class Script {
 public:
  explicit Script(std::filesystem::path path) : path_(std::move(path)) { add_spectest(); }

  /// Runs every line; `checked` counts the assertions.
  void run(std::size_t& checked) {
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string kind, number;
      words >> kind >> number;
      SCOPED_TRACE(path_.filename().string() + ":" + number + " " + kind);
      command(kind, words);
      if (kind != "text" && kind != "module" && kind != "register") ++checked;
    }
  }

 private:
  using Words = std::istringstream;

  static std::string word(Words& words) {
    std::string out;
    words >> out;
    return out;
  }
  static Bytes bytes(Words& words) {
    const std::string text = word(words);
    return text == "-" ? Bytes{} : from_hex(text).value();
  }
  static std::string text(Words& words) { return std::string(as_text(bytes(words))); }

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
    exports["memory"] = store_.add_memory({1, 2}, kSpecPagesMax).value();
  }

  /// Errors: as compile and link; Code::not_found for an unknown import.
  Result<Linked*> instantiate(Bytes module) {
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
    return store_.link(programs_.back(), imports, kSpecPagesMax);
  }
  Stop begin(Linked& module) {
    if (const Stop written = module.write_segments(); written != Stop::none) return written;
    if (module.start() == nullptr) return Stop::returned;
    return thread_.call(*module.start(), {}, kFuel).stop;
  }

  static Slot value(std::string_view text) {
    const std::size_t colon = text.find(':');
    Slot out = 0;
    if (colon == std::string_view::npos) return out;  // null
    const std::string_view digits = text.substr(colon + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
    return text.starts_with("extern") ? out + 1 : out;
  }

  /// The result of `invoke …` or `get …`; reads up to the end or a "=".
  Ran act(Words& words) {
    const std::string verb = word(words);
    const std::string module = word(words);
    const std::string name = text(words);
    Linked* const in = module == "-" ? last_ : named_.at(module);
    const External* exported = in->exported(name);
    if (exported == nullptr) {
      ADD_FAILURE() << "no export " << name;
      return {};
    }
    if (verb == "get") return {Stop::returned, {exported->global->value}, 0};
    std::vector<Slot> arguments;
    for (std::string next = word(words); !next.empty() && next != "="; next = word(words)) {
      arguments.push_back(value(next));
    }
    return thread_.call(*exported->function, arguments, kFuel);
  }

  static bool matches(std::string_view wanted, Slot found) {
    if (wanted == "func") return found != 0;
    if (wanted == "f32:canonical" || wanted == "f32:arithmetic") {
      // Arithmetic: any quiet NaN; the canonical one is what this profile gives, unless the value
      // was only moved.
      const auto bits = static_cast<std::uint32_t>(found);
      return wanted == "f32:canonical" ? (bits | F32::kSign) == (F32::kNan | F32::kSign)
                                       : F32::is_nan(bits) && (bits & 0x400000) != 0;
    }
    if (wanted == "f64:canonical" || wanted == "f64:arithmetic") {
      return wanted == "f64:canonical" ? (found | F64::kSign) == (F64::kNan | F64::kSign)
                                       : F64::is_nan(found) && (found & 0x8000000000000) != 0;
    }
    return found == value(wanted);
  }

  void expect_return(Words& words, const std::string& line) {
    const Ran ran = act(words);
    ASSERT_EQ(ran.stop, Stop::returned);
    std::istringstream wanted(line.substr(line.find('=') + 1));
    std::vector<std::string> results;
    for (std::string next; wanted >> next;) results.push_back(next);
    ASSERT_EQ(ran.results.size(), results.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      EXPECT_TRUE(matches(results[i], ran.results[i]))
          << "result " << i << " is " << std::hex << ran.results[i] << ", not " << results[i];
    }
  }

  void command(const std::string& kind, Words& words) {
    if (kind == "module") {
      const std::string name = word(words);
      const auto made = instantiate(bytes(words));
      ASSERT_TRUE(made) << made.error().text();
      last_ = *made;
      if (name != "-") named_[name] = last_;
      EXPECT_EQ(begin(**made), Stop::returned);
    } else if (kind == "register") {
      const std::string as = text(words);
      const std::string name = word(words);
      registered_[as] = (name == "-" ? last_ : named_.at(name))->exports();
    } else if (kind == "malformed" || kind == "invalid") {
      const Bytes module = bytes(words);
      const auto made = compile(module);
      ASSERT_FALSE(made) << "is accepted";
      const bool form = made.error().code == Code::malformed;
      EXPECT_EQ(form, kind == "malformed") << made.error().text();
    } else if (kind == "unlinkable") {
      EXPECT_FALSE(instantiate(bytes(words))) << "links";
    } else if (kind == "uninstantiable") {
      const auto made = instantiate(bytes(words));
      ASSERT_TRUE(made) << made.error().text();
      EXPECT_TRUE(is_trap(begin(**made)));
    } else if (kind == "return") {
      expect_return(words, words.str());
    } else if (kind == "action") {
      EXPECT_EQ(act(words).stop, Stop::returned);
    } else if (kind == "trap") {
      EXPECT_TRUE(is_trap(act(words).stop));
    } else if (kind == "exhaustion") {
      EXPECT_EQ(act(words).stop, Stop::stack);
    } else {
      EXPECT_EQ(kind, "text");
    }
  }

  std::filesystem::path path_;
  std::deque<Bytes> modules_;
  std::deque<Program> programs_;
  Store store_;
  Thread thread_;
  Linked* last_ = nullptr;
  std::map<std::string, Linked*> named_;
  std::map<std::string, std::map<std::string, External, std::less<>>> registered_;
};

TEST(SpecTest, EveryScriptRuns) {
  const char* folder = std::getenv("PHASE_SPEC_SCRIPTS");
  if (folder == nullptr) GTEST_SKIP() << "PHASE_SPEC_SCRIPTS is not set";
  std::vector<std::filesystem::path> scripts;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".script") scripts.push_back(entry.path());
  }
  std::ranges::sort(scripts);
  ASSERT_GE(scripts.size(), 80U);
  std::size_t checked = 0;
  for (const auto& path : scripts) Script(path).run(checked);
  std::cout << checked << " assertions of " << scripts.size() << " scripts\n";
  EXPECT_GT(checked, 20'000U);
}

}  // namespace
}  // namespace phase::reference
