// prompt.c — π by points at random, and what can be told of a text.
#include "computation_internal.h"

// ── π ──

/// SplitMix64 (Steele, Lea, Flood 2014).
static uint64_t next_random(uint64_t* state) {
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

int answer_pi(uint64_t samples, uint64_t seed) {
  if (samples == 0 || samples > kSamplesMax) {
    return refuse("bad_input", "samples is not between 1 and 100,000,000");
  }
  const uint64_t radius = UINT64_C(1) << 31;
  uint64_t state = seed, inside = 0;
  for (uint64_t i = 0; i < samples; i++) {
    const uint64_t point = next_random(&state);
    const uint64_t x = point >> 33, y = point & (radius - 1);
    inside += x * x + y * y < radius * radius;
  }
  const double share = (double)inside / (double)samples;
  put("{\"kind\":\"monte_carlo_pi\",\"samples\":");
  put_integer(samples);
  put(",\"seed\":");
  put_integer(seed);
  put(",\"inside\":");
  put_integer(inside);
  put(",\"value\":");
  put_number(4 * share);
  put(",\"standard_error\":");
  put_number(4 * __builtin_sqrt(share * (1 - share) / (double)samples));
  put("}\n");
  return 0;
}

// ── Text ──

typedef struct {
  const char* at;
  size_t length;
  uint64_t count;
} Word;

static int is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static int same(const char* one, const char* other, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (lower(one[i]) != lower(other[i])) return 0;
  }
  return 1;
}

/// The next run of letters and digits; 0: no more.
static int next_word(Reader* in, Word* out) {
  while (in->at < in->end && !is_letter(*in->at) && !is_digit(*in->at)) in->at++;
  out->at = in->at;
  while (in->at < in->end && (is_letter(*in->at) || is_digit(*in->at))) in->at++;
  out->length = (size_t)(in->at - out->at);
  out->count = 1;
  return out->length != 0;
}

static int has_word(const Text* text, const char* wanted) {
  Reader in = {text->bytes, text->bytes + text->length};
  Word word;
  while (next_word(&in, &word)) {
    if (word.length == strlen(wanted) && same(word.at, wanted, word.length)) return 1;
  }
  return 0;
}

/// The first number of the text that is a count of samples.
static uint64_t samples_of(const Text* text) {
  Reader in = {text->bytes, text->bytes + text->length};
  while (in.at < in.end) {
    double value;
    if (!is_digit(*in.at) || !read_number(&in, &value)) {
      in.at++;
    } else if (value >= 1 && value <= kSamplesMax && value == (double)(uint64_t)value) {
      return (uint64_t)value;
    }
  }
  return kSamplesUsual;
}

static int in_expression(const Reader* in) {
  static const char kBytes[] = "0123456789.+-*/() \xe2\x88\x92\xc3\x97\xb7";
  return *in->at != 0 && strchr(kBytes, *in->at) != NULL;
}

/// The longest run of the signs of arithmetic that is an expression with an operator in it.
static int find_expression(const Text* text, double* value) {
  Reader in = {text->bytes, text->bytes + text->length};
  size_t best = 0;
  while (in.at < in.end) {
    const char* begin = in.at;
    while (in.at < in.end && in_expression(&in)) in.at++;
    const char* end = in.at;
    if (in.at < in.end) in.at++;
    // A sentence's full stop is none of it, nor is a dash before it.
    while (begin < end && strchr(" .", *begin) != NULL) begin++;
    while (begin < end && strchr(" .", end[-1]) != NULL) end--;
    double found;
    unsigned operators;
    const size_t length = (size_t)(end - begin);
    if (length <= best || evaluate(begin, length, &found, &operators) != NULL) continue;
    if (operators == 0) continue;
    best = length;
    *value = found;
  }
  return best != 0;
}

static size_t count_sentences(const Text* text) {
  size_t out = 0;
  int open = 0;
  for (size_t i = 0; i < text->length; i++) {
    const char c = text->bytes[i];
    const int inside = i + 1 < text->length && is_digit(text->bytes[i + 1]);
    if (is_letter(c) || is_digit(c)) open = 1;
    if ((c == '!' || c == '?' || (c == '.' && !inside)) && open) out++, open = 0;
  }
  return out + (size_t)open;
}

static size_t count_words(const Text* text, Word* distinct, uint64_t* words) {
  Reader in = {text->bytes, text->bytes + text->length};
  Word word;
  size_t kept = 0;
  for (*words = 0; next_word(&in, &word); ++*words) {
    if (word.length < kKeywordBytesMin || word.length > kKeywordBytesMax) continue;
    if (!is_letter(*word.at)) continue;
    size_t at = 0;
    while (at < kept &&
           (distinct[at].length != word.length || !same(distinct[at].at, word.at, word.length))) {
      at++;
    }
    if (at < kept) {
      distinct[at].count++;
    } else if (kept < kDistinctWordsMax) {
      distinct[kept++] = word;
    }
  }
  return kept;
}

static void put_keywords(Word* words, size_t count) {
  for (size_t listed = 0; listed < kKeywordsMax && listed < count; listed++) {
    Word* best = words;
    for (Word* at = words; at < words + count; at++) {
      if (at->count > best->count) best = at;  // the first of those named equally often
    }
    char text[kKeywordBytesMax];
    for (size_t i = 0; i < best->length; i++) text[i] = lower(best->at[i]);
    put(listed == 0 ? "{\"word\":" : ",{\"word\":");
    put_text(text, best->length);
    put(",\"count\":");
    put_integer(best->count);
    put("}");
    best->count = 0;
  }
}

static void put_numbers(const Text* text) {
  Reader in = {text->bytes, text->bytes + text->length};
  int listed = 0;
  char before = ' ';
  while (in.at < in.end && listed < kNumbersMax) {
    double value;
    const char here = *in.at;
    if (is_digit(here) && !is_letter(before) && read_number(&in, &value)) {
      before = '0';
      if (!(value - value == 0)) continue;  // too large to be said
      if (listed++ != 0) put(",");
      put_number(value);
    } else {
      before = is_digit(here) ? before : here;  // "a1": no number
      in.at++;
    }
  }
}

/// Signs that are no letters (U+0080–00BF, U+2000–2FFF) become spaces.
static void blank_signs(Text* text) {
  for (size_t i = 0; i + 1 < text->length; i++) {
    const unsigned char lead = (unsigned char)text->bytes[i];
    const size_t bytes = lead == 0xc2 ? 2 : lead == 0xe2 ? 3 : 0;
    for (size_t k = 0; k < bytes && i + k < text->length; k++) text->bytes[i + k] = ' ';
  }
}

static int answer_text(Text* text) {
  static Word distinct[kDistinctWordsMax];
  uint64_t words, characters = 0;
  for (size_t i = 0; i < text->length; i++) characters += (text->bytes[i] & 0xc0) != 0x80;
  blank_signs(text);
  const size_t kept = count_words(text, distinct, &words);
  put("{\"kind\":\"text\",\"characters\":");
  put_integer(characters);
  put(",\"words\":");
  put_integer(words);
  put(",\"sentences\":");
  put_integer(count_sentences(text));
  put(",\"keywords\":[");
  put_keywords(distinct, kept);
  put("],\"numbers\":[");
  put_numbers(text);
  put("]}\n");
  return 0;
}

int answer_prompt(Text* prompt) {
  double value;
  const int carlo = has_word(prompt, "monte") && has_word(prompt, "carlo");
  if (carlo && (has_word(prompt, "pi") || has_word(prompt, "\xcf\x80"))) {
    return answer_pi(samples_of(prompt), 0);
  }
  if (find_expression(prompt, &value)) {
    put("{\"kind\":\"expression\",\"value\":");
    put_number(value);
    put("}\n");
    return 0;
  }
  return answer_text(prompt);
}
