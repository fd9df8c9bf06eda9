"""Each rule of tools/tidy, once kept and once broken."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import cmake
import folders
import functions
import layers
import links
import text
from tree import Tree

MAP = """# Map
## Rings
| ring | units |
|---|---|
| 1 | `base` |
| 2 | `job` `manifest` |
| 3 | `peer` `worker/wasm` |
| 4 | `apps` |

## Arrows
- `job` → `base`: bytes.
- `manifest` → `job` `base`: it signs one.
- `peer` → `base`: streams.
- `worker/wasm` → `base`, `job`: it runs one.
"""
README = "# x\n" + "".join(f"## {title}\nText.\n" for title in folders.HEADINGS)


def tree_of(files):
    """A tree of these files in a temporary folder; returns (folder to keep alive, tree)."""
    folder = tempfile.TemporaryDirectory()
    for name, content in files.items():
        path = pathlib.Path(folder.name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder, Tree(folder.name)


class TidyTest(unittest.TestCase):
    def rules(self, check, files):
        """The rules `check` finds broken, in order of place."""
        folder, tree = tree_of(files)
        with folder:
            return [finding.rule for finding in sorted(check(tree))]


class Layers(TidyTest):
    def include(self, path, line, more=None):
        base, job = '#include "base/bytes.h"\n', '#include "protocol/job/job.h"\n'
        files = {"docs/map.md": MAP, "src/base/bytes.h": "", "src/protocol/job/job.h": base,
                 "src/protocol/job/rules_internal.h": "", "src/peer/peer.h": base,
                 "src/protocol/manifest/manifest.h": base + job, "src/worker/wasm/w.h": base + job}
        files.update({path: line + "\n"} | (more or {}))
        return self.rules(layers.check, files)

    def test_an_arrow_allows(self):
        self.assertEqual([], self.include("src/protocol/manifest/a.cpp",
                                          '#include "protocol/job/job.h"'))

    def test_a_lower_folder_may_not_include_a_higher_one(self):
        self.assertEqual(["layer"], self.include("src/base/a.h", '#include "peer/peer.h"'))

    def test_no_arrow_no_include_even_downwards(self):
        self.assertEqual(["layer"], self.include("src/peer/a.cpp",
                                                 '#include "protocol/job/job.h"'))

    def test_a_relative_include_is_seen_too(self):
        self.assertEqual(["layer"], self.include("src/base/a.h", '#include "../peer/peer.h"'))

    def test_a_test_may_look_down_without_an_arrow_but_not_up(self):
        self.assertEqual([], self.include("src/peer/a_test.cpp", '#include "protocol/job/job.h"'))
        self.assertEqual(["layer"], self.include("src/base/a_test.cpp", '#include "peer/peer.h"'))

    def test_an_arrow_that_nobody_uses(self):
        self.assertEqual(["map"], self.include("src/peer/peer.h", ""))

    def test_apps_may_include_everything(self):
        self.assertEqual([], self.include("apps/x/main.cpp", '#include "peer/peer.h"'))

    def test_an_unknown_folder_is_refused(self):
        self.assertEqual(["layer"], self.include("src/utils/a.cpp", '#include "base/bytes.h"'))

    def test_internal_headers_stay_in_their_folder(self):
        line = '#include "protocol/job/rules_internal.h"'
        self.assertEqual([], self.include("src/protocol/job/a.cpp", line))
        self.assertEqual(["internal"], self.include("src/protocol/manifest/a.cpp", line))

    def test_rust_headers_have_one_home(self):
        self.assertEqual([], self.include("src/peer/a.cpp", "#include <phase_net.h>"))
        self.assertEqual(["seam"], self.include("apps/x/a.cpp", "#include <phase_net.h>"))
        self.assertEqual([], self.include("src/worker/wasm/a.cpp", "#include <wasmtime.h>"))
        self.assertEqual(["seam"], self.include("src/node/a.cpp", "#include <wasmtime/func.h>"))

    def test_product_code_does_not_include_tests(self):
        self.assertEqual(["layer"], self.include("src/base/a.cpp", '#include "tests/x/y.h"',
                                                 {"tests/x/y.h": ""}))

    def test_an_allowed_line_needs_a_reason(self):
        line = '#include "peer/peer.h"  // tidy: allow(layer)'
        self.assertEqual(["layer"], self.include("src/base/a.h", line))
        self.assertEqual([], self.include("src/base/a.h", line + ": moved next week"))


class Arrows(TidyTest):
    def map(self, arrows, rings="| 1 | `a` `b` |\n| 2 | `c` |\n"):
        return self.rules(layers.check, {
            "docs/map.md": f"## Rings\n{rings}\n## Arrows\n{arrows}\n"})

    def test_arrows_point_down_or_sideways_without_circles(self):
        self.assertEqual([], self.map("- `c` → `a` `b`: why.\n- `a` → `b`: why."))
        self.assertEqual(["map"], self.map("- `a` → `c`: why."))
        self.assertEqual(["map", "map"], self.map("- `a` → `b`: why.\n- `b` → `a`: why."))

    def test_an_arrow_has_a_reason_and_known_ends(self):
        self.assertEqual(["map"], self.map("- `c` → `a`"))
        self.assertEqual(["map"], self.map("- `c` → `x`: why."))

    def test_a_map_without_rings_is_refused(self):
        self.assertEqual(["map"], self.rules(layers.check, {"docs/map.md": "# Map\n"}))


class Uses(TidyTest):
    def uses(self, uses, include, more=""):
        return self.rules(cmake.check, {
            "src/base/CMakeLists.txt": "phase_library(base SOURCES b.cpp)", "src/base/b.cpp": "",
            "src/base/b.h": "", "src/job/job.h": "", "src/job/own.h": include + "\n",
            "src/job/job.cpp": '#include "job/own.h"\n',
            "src/job/CMakeLists.txt":
                f"# a comment\nphase_library(job\n  SOURCES job.cpp{more}\n  USES {uses})"})

    def test_uses_is_what_is_included(self):
        self.assertEqual([], self.uses("phase::base", '#include "base/b.h"'))

    def test_a_missing_and_a_needless_use(self):
        self.assertEqual(["uses"], self.uses("", '#include "base/b.h"'))
        self.assertEqual(["uses"], self.uses("phase::base", ""))

    def test_a_use_may_come_through_a_header_of_another_folder(self):
        files = {"src/base/CMakeLists.txt": "phase_library(base SOURCES b.cpp)",
                 "src/base/b.cpp": "", "src/base/b.h": "",
                 "src/mid/CMakeLists.txt": "phase_library(mid SOURCES m.cpp USES phase::base)",
                 "src/mid/m.cpp": '#include "mid/m.h"\n', "src/mid/m.h": '#include "base/b.h"\n',
                 "src/top/CMakeLists.txt":
                     "phase_library(top SOURCES t.cpp USES phase::mid phase::base)",
                 "src/top/t.cpp": '#include "mid/m.h"\n'}
        self.assertEqual([], self.rules(cmake.check, files))

    def test_two_libraries_in_one_folder(self):
        text = ("phase_library(low SOURCES low.cpp USES phase::base)\n"
                "phase_library(high SOURCES high.cpp USES phase::low)")
        files = {"src/base/CMakeLists.txt": "phase_library(base SOURCES b.cpp)",
                 "src/base/b.cpp": "", "src/base/b.h": "", "src/job/CMakeLists.txt": text,
                 "src/job/low.h": '#include "base/b.h"\n',
                 "src/job/low.cpp": '#include "job/low.h"\n',
                 "src/job/high.cpp": '#include "job/low.h"\n'}
        self.assertEqual([], self.rules(cmake.check, files))
        files["src/job/high.cpp"] += '#include "base/b.h"\n'
        self.assertEqual(["uses"], self.rules(cmake.check, files))

    def test_a_source_that_is_not_there(self):
        self.assertEqual(["uses"], self.uses("phase::base", '#include "base/b.h"', " gone.cpp"))


class Seams(TidyTest):
    def test_no_program_links_both_archives(self):
        files = {"docs/map.md": MAP, "src/peer/CMakeLists.txt":
                     "phase_library(peer SOURCES a.cpp LINKS phase::rust_net)",
                 "src/worker/wasm/CMakeLists.txt":
                     "phase_library(engine SOURCES a.cpp LINKS phase::rust_wasm)",
                 "apps/a/CMakeLists.txt": "phase_app(a SOURCES m.cpp USES phase::peer)"}
        self.assertEqual([], self.rules(layers.check, files))
        files["apps/b/CMakeLists.txt"] = "phase_app(b SOURCES m.cpp USES phase::peer phase::engine)"
        self.assertEqual(["seam"], self.rules(layers.check, files))

    def test_an_archive_is_linked_at_home(self):
        files = {"docs/map.md": MAP,
                 "apps/a/CMakeLists.txt": "phase_app(a SOURCES m.cpp LINKS phase::rust_net)"}
        self.assertEqual(["seam"], self.rules(layers.check, files))


class Words(TidyTest):
    def line(self, path, line):
        return self.rules(text.check, {path: line + "\n"})

    def test_line_length(self):
        self.assertEqual([], self.line("src/a/a.h", "/" * 100))
        self.assertEqual(["columns"], self.line("src/a/a.h", "/" * 101))
        self.assertEqual([], self.line("README.md", "x" * 300))

    def test_file_length(self):
        self.assertEqual([], self.line("src/a/a.h", "\n" * 799))
        self.assertEqual(["file"], self.line("src/a/a.h", "\n" * 800))

    def test_debug_printing(self):
        self.assertEqual(["print"], self.line("src/a/a.cpp", "std::cout << x;"))
        self.assertEqual(["print"], self.line("src/a/a.cpp", 'printf("x");'))
        self.assertEqual([], self.line("src/a/a.cpp", 'std::snprintf(b, n, "x");'))
        self.assertEqual([], self.line("src/a/a_test.cpp", "std::cout << x;"))
        self.assertEqual([], self.line("apps/a/a.cpp", "std::cout << x;"))

    def test_captures(self):
        self.assertEqual(["capture"], self.line("src/a/a.cpp", "auto f = [=] { return x; };"))
        self.assertEqual(["capture"], self.line("src/a/a.cpp", "auto f = [=, &y] { return x; };"))
        self.assertEqual([], self.line("src/a/a.cpp", "auto f = [x] { return x; };"))

    def test_sleep_in_tests(self):
        call = "std::this_thread::sleep_for(1s);"
        self.assertEqual(["sleep"], self.line("src/a/a_test.cpp", call))
        self.assertEqual([], self.line("src/a/a.cpp", call))
        self.assertEqual([], self.line("src/a/a_test.cpp", "co_await clock.sleep_until(t);"))
        self.assertEqual(["sleep"], self.line("tests/functional/a.py", "time.sleep(1)"))
        self.assertEqual([], self.line("tests/functional/a.py",
                                       "time.sleep(1)  # tidy: allow(sleep): has a deadline"))

    def test_a_test_is_never_switched_off(self):
        self.assertEqual(["disabled"], self.line("src/a/a_test.cpp", "TEST(A, DISABLED_B) {}"))
        self.assertEqual(["disabled"], self.line("sdk/a.php", "$this->markTestSkipped();"))
        self.assertEqual([], self.line("sdk/a.php", "$this->markTestSkipped('no ext-sodium');"))

    def test_hosts_and_paths_of_one_machine(self):
        self.assertEqual(["registry"], self.line("docs/a.md", "see https://py" + "pi.org/x"))
        self.assertEqual(["path"], self.line("docs/a.md", "cd /wo" + "rk/main"))
        self.assertEqual(["path"], self.line("a.sh", "cd /ho" + "me/ann/x"))
        self.assertEqual([], self.line("docs/a.md", "src/wo" + "rker and the /ro" + "oted tree"))

    def test_todo(self):
        self.assertEqual([], self.line("src/a/a.cpp", "// TO" + "DO(perf): pool these"))
        self.assertEqual(["todo"], self.line("src/a/a.cpp", "// TO" + "DO: pool these"))
        self.assertEqual(["todo"], self.line("src/a/a.cpp", "// FIX" + "ME pool these"))

    def test_an_exception_needs_a_reason(self):
        self.assertEqual(["allow"], self.line("docs/a.md", "tidy: allow(sleep)"))


class Functions(TidyTest):
    def body(self, path, head, tail, lines):
        return self.rules(functions.check, {path: head + "\n" + "  x();\n" * lines + tail + "\n"})

    def test_cpp(self):
        for head in ("int f(int a) {", "Result<int> A::f() const noexcept {",
                     "TEST(Subject, Property) {", "A::A(int b) : b_(b) {",
                     "namespace n {\nstatic auto f() -> Result<int> {"):
            tail = "}\n}" if head.startswith("namespace") else "}"
            self.assertEqual([], self.body("src/a.cpp", head, tail, 68), head)
            self.assertEqual(["function"], self.body("src/a.cpp", head, tail, 70), head)

    def test_what_is_no_function(self):
        for head, tail in (("namespace n {", "}"), ("struct A {", "};"),
                           ("class B : public A {", "};"),
                           ("constexpr int kTable[] = {", "};"), ("/* f() {", "*/"),
                           ('const char* kText = R"(f() {', ')";')):
            self.assertEqual([], self.body("src/a.cpp", head, tail, 90), head)

    def test_members_are_measured_one_by_one(self):
        member = "  void f() {\n" + "    x();\n" * 40 + "  }\n"
        self.assertEqual([], self.rules(functions.check,
                                        {"src/a.h": "class A {\n" + member * 3 + "};\n"}))

    def test_other_languages(self):
        self.assertEqual(["function"],
                         self.body("rust/a.rs", "fn f<'a>(x: &'a str) -> u8 {", "}", 70))
        self.assertEqual([], self.body("rust/a.rs", "mod tests {", "}", 90))
        self.assertEqual(["function"], self.body("sdk/a.php", "<?php function f(): int {", "}", 70))
        self.assertEqual(["function"], self.body("tools/a.py", "def f():", "", 70))
        self.assertEqual([], self.body("tools/a.py", "def f():", "", 69))


class Folders(TidyTest):
    def test_readme(self):
        good = {"src/base/a.h": "", "src/base/README.md": README}
        self.assertEqual([], self.rules(folders.check, good))
        self.assertEqual(["readme"], self.rules(folders.check, {"src/base/a.h": ""}))
        swapped = README.replace("## Limits", "## Bounds")
        self.assertEqual(["readme"],
                         self.rules(folders.check, good | {"src/base/README.md": swapped}))
        self.assertEqual(["readme"], self.rules(
            folders.check, good | {"src/base/README.md": README + "x\n" * 100}))

    def test_invariants_name_tests_that_exist(self):
        files = {"src/base/a_test.cpp": "TEST_F(Subject,\n       KeepsALaw) {}",
                 "src/base/README.md": README + "`Subject.KeepsALaw`"}
        self.assertEqual([], self.rules(folders.check, files))
        files["src/base/README.md"] += " `Subject.KeepsAnother`"
        self.assertEqual(["readme"], self.rules(folders.check, files))

    def test_decoders_have_fuzz_files(self):
        files = {"src/job/job.h": "Result<Job> decode(ByteView bytes);\n",
                 "src/job/README.md": README}
        self.assertEqual(["fuzz"], self.rules(folders.check, files))
        files["src/job/job_fuzz.cpp"] = '#include "job/job.h"\nint main() { encode(x); }'
        self.assertEqual(["fuzz"], self.rules(folders.check, files))
        files["src/job/job_fuzz.cpp"] = '#include "job/job.h"\nint main() { job::decode(x); }'
        self.assertEqual([], self.rules(folders.check, files))
        files["src/job/job.h"] += "Result<File> open(const std::filesystem::path& path);\n"
        self.assertEqual([], self.rules(folders.check, files))


class Links(TidyTest):
    def test_links(self):
        files = {"docs/a.md": "[b](b.md#two-words) [out](https://example.org/x)\n",
                 "docs/b.md": "# Two words\n"}
        self.assertEqual([], self.rules(links.check, files))
        self.assertEqual(["link"], self.rules(links.check, files | {"docs/b.md": "# One\n"}))
        self.assertEqual(["link"], self.rules(links.check, {"docs/a.md": "[b](c.md)\n"}))

    def test_paths_in_comments(self):
        self.assertEqual([], self.rules(links.check, {"src/a.h": "// spec/job.md\n",
                                                      "spec/job.md": ""}))
        self.assertEqual(["link"], self.rules(links.check, {"src/a.h": "// spec/jobs.md\n"}))
        self.assertEqual([], self.rules(links.check, {"rust/net/include/a.h": "// src/a.rs\n",
                                                      "rust/net/src/a.rs": ""}))


if __name__ == "__main__":
    unittest.main()
