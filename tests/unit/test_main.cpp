// The main of every GoogleTest program: a skipped test is never a silent success. When all others
// passed the program exits 77, which ctest shows as skipped and `.ci/run` counts as failed.
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace {

constexpr int kExitSkipped = 77;

/// Repeats why each test skipped, in the form tools/run_tests reads.
class SkipReasons : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& info) override {
    if (!info.result()->Skipped()) return;
    for (int i = 0; i < info.result()->total_part_count(); ++i) {
      std::string why = info.result()->GetTestPartResult(i).message();
      for (char& c : why)
        if (c == '\n') c = ' ';
      std::printf("skip: %s.%s: %s\n", info.test_suite_name(), info.name(), why.c_str());
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  tests.listeners().Append(new SkipReasons);  // owned by the listeners
  const int failed = RUN_ALL_TESTS();
  if (failed != 0) return failed;
  if (tests.test_to_run_count() == 0) {
    std::fprintf(stderr, "no test was selected\n");
    return 1;
  }
  return tests.skipped_test_count() > 0 ? kExitSkipped : 0;
}
