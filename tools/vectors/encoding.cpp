#include "basics.h"

namespace phase::vectors {
namespace {

struct Case {
  std::string_view name, hex, meaning;
};

// RFC 8949 appendix A where it has the case; the rest follows from spec/encoding.md.
constexpr Case kGood[] = {
    {"a job's outline", "a20000018200f6", "{0: 0, 1: [0, null]}"},
    {"0", "00", "0"},
    {"23, the last one-byte head", "17", "23"},
    {"24", "1818", "24"},
    {"255", "18ff", "255"},
    {"256", "190100", "256"},
    {"65535", "19ffff", "65535"},
    {"65536", "1a00010000", "65536"},
    {"2^32 - 1", "1affffffff", "4294967295"},
    {"2^32", "1b0000000100000000", "4294967296"},
    {"2^64 - 1", "1bffffffffffffffff", "18446744073709551615"},
    {"-1", "20", "-1"},
    {"-24", "37", "-24"},
    {"-25", "3818", "-25"},
    {"-2^63", "3b7fffffffffffffff", "-9223372036854775808"},
    {"empty byte string", "40", "h''"},
    {"byte string of 24", "5818000102030405060708090a0b0c0d0e0f1011121314151617", "24 bytes"},
    {"empty text", "60", "\"\""},
    {"text with two-byte letters", "62c3bc", "\"\xC3\xBC\""},
    {"text beyond the basic plane", "64f0908591", "U+10151"},
    {"empty array", "80", "[]"},
    {"nested arrays", "8301820203820405", "[1, [2, 3], [4, 5]]"},
    {"empty map", "a0", "{}"},
    {"map with ascending integers", "a201020304", "{1: 2, 3: 4}"},
    {"map: shorter keys first", "a3616101616201626161f6", "{\"a\": 1, \"b\": 1, \"aa\": null}"},
    {"map: integers before text", "a2186400616100", "{100: 0, \"a\": 0}"},
    {"false", "f4", "false"},
    {"true", "f5", "true"},
    {"null", "f6", "null"},
    {"16 levels", "81818181818181818181818181818100", "15 arrays around 0"},
};

constexpr Case kBad[] = {
    {"nothing", "", "ends early"},
    {"0 in two bytes", "1800", "not the shortest form"},
    {"23 in two bytes", "1817", "not the shortest form"},
    {"255 in three bytes", "1900ff", "not the shortest form"},
    {"65535 in five bytes", "1a0000ffff", "not the shortest form"},
    {"2^32 - 1 in nine bytes", "1b00000000ffffffff", "not the shortest form"},
    {"length not in the shortest form", "580161", "not the shortest form"},
    {"-2^63 - 1", "3b8000000000000000", "below -2^63"},
    {"head cut off", "19", "ends early"},
    {"head cut in its argument", "1a0001", "ends early"},
    {"byte string cut off", "4361", "ends early"},
    {"byte string longer than memory", "5bffffffffffffffff", "ends early"},
    {"text that is not UTF-8", "62c328", "not UTF-8"},
    {"text with a surrogate", "63eda080", "not UTF-8"},
    {"text in overlong form", "62c080", "not UTF-8"},
    {"array longer than the input", "9b00000000ffffffff", "ends early"},
    {"map longer than the input", "bb00000000ffffffff", "ends early"},
    {"indefinite byte string", "5f4100ff", "indefinite length"},
    {"indefinite text", "7f6161ff", "indefinite length"},
    {"indefinite array", "9f00ff", "indefinite length"},
    {"indefinite map", "bf0000ff", "indefinite length"},
    {"reserved head 28", "1c", "reserved"},
    {"break alone", "ff", "no item"},
    {"same key twice", "a201000100", "keys not ascending"},
    {"keys descending", "a203000100", "keys not ascending"},
    {"longer key first", "a262616100616200", "keys not ascending"},
    {"text key before integer key", "a2616100186400", "keys not ascending"},
    {"map without its last value", "a100", "ends early"},
    {"half float", "f93c00", "no floats"},
    {"single float", "fa47c35000", "no floats"},
    {"double float", "fb3ff199999999999a", "no floats"},
    {"undefined", "f7", "no such simple value"},
    {"simple value 16", "f0", "no such simple value"},
    {"simple value 255", "f8ff", "no such simple value"},
    {"a tag inside", "81c100", "no tags inside"},
    {"bignum", "c249010000000000000000", "no tags inside"},
    {"17 levels", "8181818181818181818181818181818100", "nested too deep"},
    {"bytes behind", "0000", "bytes follow the item"},
};

}  // namespace

json::value encoding_vectors() {
  json::array cases;
  const auto add = [&cases](const Case& c, const json::value& error) {
    cases.push_back(
        json::object{{"name", c.name}, {"bytes", c.hex}, {"meaning", c.meaning}, {"error", error}});
  };
  for (const Case& c : kGood) add(c, nullptr);
  for (const Case& c : kBad) add(c, "malformed");
  return file("encoding", "spec/encoding.md", std::move(cases));
}

}  // namespace phase::vectors
