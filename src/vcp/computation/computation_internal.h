// computation_internal.h — the parts of the guest module; C, compiled to WebAssembly only.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
  kInputBytesMax = 256 * 1024,
  kTextBytesMax = 64 * 1024,  // of an expression or prompt, decoded
  kOutputBytesMax = 64 * 1024,
  kDepthMax = 64,  // of parentheses and signs
  kSamplesUsual = 100 * 1000,
  kSamplesMax = 100 * 1000 * 1000,
  kNumbersMax = 32,  // listed of a prompt
  kKeywordsMax = 5,  // listed of a prompt
  kKeywordBytesMin = 4,
  kKeywordBytesMax = 64,
  kDistinctWordsMax = 4096,  // looked at for keywords; later ones are not
  kBadInput = 2,
};
#define kIntegerMax (UINT64_C(1) << 53)

typedef struct {
  const char* at;
  const char* end;
} Reader;

typedef struct {
  size_t length;
  char bytes[kTextBytesMax];
} Text;

typedef enum { kNothing, kExpression, kPi, kPrompt } Kind;

typedef struct {
  Kind kind;
  uint64_t samples, seed;
  Text text;
} Asked;

/// Appends to the answer.
void put(const char* text);
void put_integer(uint64_t value);
void put_text(const char* text, size_t length);  ///< quoted
/// 15 significant digits at most; whole numbers below 2^53 as they are.
void put_number(double value);
/// Replaces the answer; the exit code.
int refuse(const char* code, const char* message);

/// A JSON text; 0 when it is none or too long.
int read_text(Reader* in, Text* out);
/// Digits with at most one point and an exponent; 0 when there is no number here.
int read_number(Reader* in, double* value);

/// The value of a whole text, or the reason why there is none. `operators`: how many it has.
const char* evaluate(const char* text, size_t length, double* value, unsigned* operators);

int answer_expression(const char* text, size_t length);
int answer_pi(uint64_t samples, uint64_t seed);
int answer_prompt(Text* prompt);
