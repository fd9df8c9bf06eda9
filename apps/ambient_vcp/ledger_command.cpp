// ambient-vcp ledger check: every entry of an export, its hash, its link and its balances.
#include <cstdio>
#include <fstream>
#include <iostream>

#include "commands.h"
#include "vcp/ledger/ledger.h"

namespace phase::ambient_vcp {

Result<int> ledger_check_command(const CommandLine& line) {
  std::ifstream file;
  if (line.ledger_file != "-") {
    file.open(line.ledger_file);
    if (!file) return fail(Code::not_found, "cannot read " + line.ledger_file.string());
  }
  std::istream& in = line.ledger_file == "-" ? std::cin : file;
  vcp::Book book;
  std::string text;
  for (std::uint64_t number = 1; std::getline(in, text); ++number) {
    auto entry = vcp::parse_entry(text);
    Result<void> good = entry ? book.take(*entry) : fail(entry.error());
    if (!good) {
      Error error = good.error();
      error.message = "line " + std::to_string(number) + ": " + error.message;
      error.code = Code::verification_failed;
      error.hint = "what follows it cannot be relied on";
      return fail(std::move(error));
    }
  }
  std::printf("%llu entries, chained; %llu credits granted and accounted for; head %s\n",
              static_cast<unsigned long long>(book.sequence()),
              static_cast<unsigned long long>(book.granted()), book.head().hex().c_str());
  return book.sum() == book.granted() ? 0 : 1;
}

}  // namespace phase::ambient_vcp
