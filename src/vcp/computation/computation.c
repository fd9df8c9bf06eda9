// computation.c — what tasks of type `computation` run: a WASI module of our own.
//
// Reads one JSON object from stdin, writes one to stdout. Exactly one of
//   {"expression": text}                              + - * / ( ), unary signs, also − × ÷
//   {"monte_carlo_pi": {"samples"?: n, "seed"?: n}}   by the same points wherever it runs
//   {"prompt": text}                                  π or an expression found in it, else
//   statistics
// with "description" (text, not looked at) beside it. Exit code 0; 2 and {"error": …} for bad
// input. Only operations that WebAssembly defines to the last bit are used, so nodes agree.
#include <unistd.h>

#include "computation_internal.h"

// ── Output ──

static char out_bytes[kOutputBytesMax];
static size_t out_length;

void put(const char* text) {
  const size_t length = strlen(text);
  if (length > sizeof out_bytes - out_length) return;  // never: what is put is bounded
  memcpy(out_bytes + out_length, text, length);
  out_length += length;
}

void put_integer(uint64_t value) {
  char digits[21] = {0};
  size_t at = sizeof digits - 1;
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  put(digits + at);
}

void put_text(const char* text, size_t length) {
  put("\"");
  for (size_t i = 0; i < length; i++) {
    char one[7] = {text[i], 0};
    const unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') {
      one[0] = '\\', one[1] = text[i];
    } else if (c < 0x20) {
      memcpy(one, "\\u00", 5);
      one[4] = "0123456789abcdef"[c >> 4], one[5] = "0123456789abcdef"[c & 15];
    }
    put(one);
  }
  put("\"");
}

static int flush(int status) {
  for (size_t done = 0; done < out_length;) {
    const ssize_t put_now = write(1, out_bytes + done, out_length - done);
    if (put_now <= 0) return 1;
    done += (size_t)put_now;
  }
  return status;
}

int refuse(const char* code, const char* message) {
  out_length = 0;
  put("{\"error\":{\"code\":\"");
  put(code);
  put("\",\"message\":");
  put_text(message, strlen(message));
  put("}}\n");
  return kBadInput;
}

// ── Input ──

static void skip_space(Reader* in) {
  while (in->at < in->end && strchr(" \t\r\n", *in->at) != NULL && *in->at != 0) in->at++;
}

static int next_is(Reader* in, char wanted) {
  skip_space(in);
  if (in->at == in->end || *in->at != wanted) return 0;
  in->at++;
  return 1;
}

static int read_hex4(Reader* in, uint32_t* value) {
  if (in->end - in->at < 4) return 0;
  *value = 0;
  for (int i = 0; i < 4; i++) {
    const char c = *in->at++;
    const char* const digits = "0123456789abcdef";
    const char* const found = c == 0 ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
    if (found == NULL) return 0;
    *value = *value << 4 | (uint32_t)(found - digits);
  }
  return 1;
}

static size_t utf8(uint32_t point, char* to) {
  if (point < 0x80) {
    to[0] = (char)point;
    return 1;
  }
  const size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = length; i-- > 1; point >>= 6) to[i] = (char)(0x80 | (point & 0x3f));
  to[0] = (char)((0xf00 >> length & 0xf0) | point);
  return length;
}

static int read_escape(Reader* in, char* to, size_t* length) {
  static const char kFrom[] = "\"\\/bfnrt", kTo[] = "\"\\/\b\f\n\r\t";
  if (in->at == in->end) return 0;
  const char c = *in->at++;
  if (c != 'u') {
    const char* const found = c == 0 ? NULL : strchr(kFrom, c);
    if (found == NULL) return 0;
    to[(*length)++] = kTo[found - kFrom];
    return 1;
  }
  uint32_t point, low;
  if (!read_hex4(in, &point) || (point >= 0xdc00 && point < 0xe000)) return 0;
  if (point >= 0xd800 && point < 0xdc00) {
    if (in->end - in->at < 2 || in->at[0] != '\\' || in->at[1] != 'u') return 0;
    in->at += 2;
    if (!read_hex4(in, &low) || low < 0xdc00 || low >= 0xe000) return 0;
    point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
  }
  *length += utf8(point, to + *length);
  return 1;
}

int read_text(Reader* in, Text* out) {
  out->length = 0;
  if (!next_is(in, '"')) return 0;
  while (in->at < in->end && *in->at != '"') {
    if (out->length + 4 > sizeof out->bytes || (unsigned char)*in->at < 0x20) return 0;
    if (*in->at == '\\') {
      in->at++;
      if (!read_escape(in, out->bytes, &out->length)) return 0;
    } else {
      out->bytes[out->length++] = *in->at++;
    }
  }
  return next_is(in, '"');
}

/// A whole number up to 2^53, the largest that every JSON reader keeps.
static int read_integer(Reader* in, uint64_t* value) {
  skip_space(in);
  const char* const begin = in->at;
  *value = 0;
  while (in->at < in->end && *in->at >= '0' && *in->at <= '9') {
    *value = *value * 10 + (uint64_t)(*in->at++ - '0');
    if (*value > kIntegerMax) return 0;
  }
  if (in->at == begin) return 0;
  return in->at == in->end || (*in->at != '.' && *in->at != 'e' && *in->at != 'E');
}

static int is(const Text* text, const char* word) {
  return text->length == strlen(word) && memcmp(text->bytes, word, text->length) == 0;
}

static int read_pi(Reader* in, Asked* asked) {
  Text name;
  if (!next_is(in, '{')) return 0;
  if (next_is(in, '}')) return 1;
  do {
    if (!read_text(in, &name) || !next_is(in, ':')) return 0;
    uint64_t* const into = is(&name, "samples") ? &asked->samples
                           : is(&name, "seed")  ? &asked->seed
                                                : NULL;
    if (into == NULL || !read_integer(in, into)) return 0;
  } while (next_is(in, ','));
  return next_is(in, '}');
}

/// What is asked, or why it cannot be told.
static const char* read_asked(Reader* in, Asked* asked) {
  static Text name, aside;
  const char* const form = "the inputs are no object with expression, monte_carlo_pi or prompt";
  if (!next_is(in, '{') || next_is(in, '}')) return form;
  do {
    if (!read_text(in, &name) || !next_is(in, ':')) return form;
    const int expression = is(&name, "expression"), prompt = is(&name, "prompt");
    const int pi = is(&name, "monte_carlo_pi");
    if (is(&name, "description")) {
      if (!read_text(in, &aside)) return "description is no text of at most 65,536 bytes";
      continue;
    }
    if (!expression && !prompt && !pi) return form;
    if (asked->kind != kNothing) return "expression, monte_carlo_pi and prompt exclude each other";
    asked->kind = expression ? kExpression : prompt ? kPrompt : kPi;
    if (pi ? !read_pi(in, asked) : !read_text(in, &asked->text)) {
      return pi ? "monte_carlo_pi has whole numbers samples and seed, and nothing else"
                : "expression or prompt is no text of at most 65,536 bytes";
    }
  } while (next_is(in, ','));
  if (!next_is(in, '}') || asked->kind == kNothing) return form;
  skip_space(in);
  return in->at == in->end ? NULL : form;
}

static int answer(Asked* asked) {
  switch (asked->kind) {
    case kExpression:
      return answer_expression(asked->text.bytes, asked->text.length);
    case kPi:
      return answer_pi(asked->samples, asked->seed);
    default:
      return answer_prompt(&asked->text);
  }
}

int main(void) {
  static char input[kInputBytesMax + 1];
  static Asked asked;
  size_t length = 0;
  for (;;) {
    const ssize_t got = read(0, input + length, sizeof input - length);
    if (got < 0) return 1;
    if (got == 0) break;
    length += (size_t)got;
    if (length > kInputBytesMax) {
      return flush(refuse("too_large", "the inputs are longer than 256 KiB"));
    }
  }
  Reader in = {input, input + length};
  asked.samples = kSamplesUsual;
  const char* const wrong = read_asked(&in, &asked);
  return flush(wrong != NULL ? refuse("bad_input", wrong) : answer(&asked));
}
