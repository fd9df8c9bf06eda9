// Writes spec/vectors anew. Run after a deliberate change of the wire, and read the diff.
//
//   write_vectors FOLDER
//   write_vectors --receipt   a receipt under a new key, as JSON on stdout, for tests/interop
#include <cstdio>
#include <fstream>
#include <string_view>

#include "base/random.h"
#include "basics.h"

namespace {

using namespace phase;  // NOLINT(google-build-using-namespace): a program of forty lines

int write_files(const std::string& folder) {
  for (const vectors::VectorFile& file : vectors::all_files()) {
    const std::string path = folder + "/" + file.name;
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << vectors::to_text(file.content);
    out.close();
    if (!out) {
      std::fprintf(stderr, "cannot write %s\n", path.c_str());
      return 1;
    }
  }
  return 0;
}

int print_fresh_receipt() {
  SystemRandom random;
  const identity::KeyPair key = identity::KeyPair::generate(random);
  manifest::Manifest asked = vectors::sample_manifest();
  asked.audience.reset();
  asked.nonce = random.array<16>();
  const auto signed_manifest = manifest::sign(asked, vectors::requester());
  const auto receipt =
      receipt::sign(vectors::sample_receipt(signed_manifest, job::commit(vectors::sample_input()),
                                            vectors::summary_of(vectors::sample_transcript())),
                    key);
  const vectors::json::object out{{"domain", identity::domain_name(identity::Domain::receipt)},
                                  {"envelope", to_hex(receipt.envelope)},
                                  {"signer", key.public_key().hex()},
                                  {"payload", to_hex(receipt::encode_payload(receipt.receipt))}};
  std::printf("%s", vectors::to_text(out).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--receipt") return print_fresh_receipt();
  if (argc == 2) return write_files(argv[1]);
  std::fprintf(stderr, "usage: write_vectors FOLDER | --receipt\n");
  return 2;
}
