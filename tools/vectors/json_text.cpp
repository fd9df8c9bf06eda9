#include <boost/json/serialize.hpp>

#include "vectors.h"

namespace phase::vectors {
namespace {

constexpr std::size_t kOneLineMax = 100;

void write(const json::value& value, std::size_t indent, std::string& out);

/// Items of an object or array, each on its line.
template <typename Container, typename WriteItem>
void write_block(const Container& container, char open, char close, std::size_t indent,
                 std::string& out, WriteItem&& write_item) {
  out += open;
  bool first = true;
  for (const auto& entry : container) {
    out += first ? "\n" : ",\n";
    first = false;
    out.append(indent + 2, ' ');
    write_item(entry);
  }
  out += '\n';
  out.append(indent, ' ');
  out += close;
}

void write(const json::value& value, std::size_t indent, std::string& out) {
  const std::string line = json::serialize(value);
  if (!value.is_structured() || line.size() <= kOneLineMax) {
    out += line;
  } else if (value.is_object()) {
    write_block(value.get_object(), '{', '}', indent, out, [&](const auto& entry) {
      out += json::serialize(json::string(entry.key())) + ": ";
      write(entry.value(), indent + 2, out);
    });
  } else {
    write_block(value.get_array(), '[', ']', indent, out,
                [&](const auto& entry) { write(entry, indent + 2, out); });
  }
}

}  // namespace

std::string to_text(const json::value& value) {
  std::string out;
  write(value, 0, out);
  return out + "\n";
}

}  // namespace phase::vectors
