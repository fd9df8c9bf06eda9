// expression.c — arithmetic: numbers, + - * /, parentheses and signs, in doubles.
#include "computation_internal.h"

typedef struct {
  Reader in;
  const char* wrong;
  unsigned operators, depth;
} Parser;

static const double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { kPowerMax = 22, kExponentMax = 400, kDigitsMax = 19, kSignificant = 15 };

/// value × 10^power, by exact powers of ten.
static double scale(double value, int power) {
  for (; power > kPowerMax; power -= kPowerMax) value *= kPowers[kPowerMax];
  for (; power < -kPowerMax; power += kPowerMax) value /= kPowers[kPowerMax];
  return power < 0 ? value / kPowers[-power] : value * kPowers[power];
}

static int digit(const Reader* in) {
  return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

static int read_exponent(Reader* in) {
  Reader from = *in;
  if (from.at == from.end || (*from.at != 'e' && *from.at != 'E')) return 0;
  from.at++;
  int sign = 1, out = 0;
  if (from.at < from.end && (*from.at == '-' || *from.at == '+')) sign = *from.at++ == '-' ? -1 : 1;
  if (!digit(&from)) return 0;
  for (; digit(&from); from.at++) {
    if (out < kExponentMax) out = out * 10 + (*from.at - '0');
  }
  *in = from;
  return sign * (out < kExponentMax ? out : kExponentMax);
}

int read_number(Reader* in, double* value) {
  uint64_t digits = 0;
  int seen = 0, kept = 0, power = 0, point = 0;
  Reader from = *in;
  for (; from.at < from.end; from.at++) {
    if (*from.at == '.') {
      Reader after = {from.at + 1, from.end};
      if (point || (!digit(&after) && seen == 0)) break;
      point = 1;
    } else if (digit(&from)) {
      seen++;
      if (kept < kDigitsMax) {
        digits = digits * 10 + (uint64_t)(*from.at - '0');
        kept += digits != 0;
        power -= point;
      } else {
        power += !point;
      }
    } else {
      break;
    }
  }
  if (seen == 0) return 0;
  power += read_exponent(&from);
  *value = digits == 0 ? 0 : scale((double)digits, power);
  *in = from;
  return 1;
}

static void put_digits(uint64_t digits, int power) {
  char text[kDigitsMax + 2] = {0};
  int count = 0;
  while (digits % 10 == 0) digits /= 10, power++;
  for (uint64_t rest = digits; rest != 0; rest /= 10) count++;
  for (int i = count; i-- > 0; digits /= 10) text[i] = (char)('0' + digits % 10);
  const int lead = count - 1 + power;  // of the first digit
  if (lead < -6 || lead >= kSignificant + 6) {
    const char first[2] = {text[0], 0};
    put(first);
    if (count > 1) put("."), put(text + 1);
    put(lead < 0 ? "e-" : "e+");
    put_integer((uint64_t)(lead < 0 ? -lead : lead));
  } else if (lead < 0) {
    put("0.");
    for (int i = lead + 1; i < 0; i++) put("0");
    put(text);
  } else {
    for (int i = 0; i < count || i <= lead; i++) {
      const char one[2] = {i < count ? text[i] : '0', 0};
      if (i == lead + 1) put(".");
      put(one);
    }
  }
}

void put_number(double value) {
  if (value < 0) {
    put("-");
    value = -value;
  }
  if (value < (double)kIntegerMax && value == (double)(uint64_t)value) {
    put_integer((uint64_t)value);
    return;
  }
  // The power with which the value has fifteen digits before the point.
  int power = 0;
  while (scale(value, power) >= 1e15) power--;
  while (scale(value, power) < 1e14) power++;
  put_digits((uint64_t)(scale(value, power) + 0.5), -power);
}

static void skip_space(Reader* in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n')) in->at++;
}

/// The operator that comes next, as one of + - * / ( ), and past it; 0: none of them.
static char operator_at(const Reader* in, size_t* bytes) {
  static const struct {
    const char* text;
    char means;
  } kSigns[] = {{"+", '+'},
                {"-", '-'},
                {"*", '*'},
                {"/", '/'},
                {"(", '('},
                {")", ')'},
                {"\xe2\x88\x92", '-'},
                {"\xc3\x97", '*'},
                {"\xc3\xb7", '/'}};
  for (size_t i = 0; i < sizeof kSigns / sizeof *kSigns; i++) {
    *bytes = strlen(kSigns[i].text);
    if ((size_t)(in->end - in->at) >= *bytes && memcmp(in->at, kSigns[i].text, *bytes) == 0) {
      return kSigns[i].means;
    }
  }
  return 0;
}

static int take(Parser* parser, char wanted) {
  size_t bytes;
  skip_space(&parser->in);
  if (operator_at(&parser->in, &bytes) != wanted) return 0;
  parser->in.at += bytes;
  return 1;
}

static double sum(Parser* parser);

static double unary(Parser* parser) {
  double out = 0;
  if (parser->wrong != NULL) return 0;
  if (++parser->depth > kDepthMax) {
    parser->wrong = "the expression is nested deeper than 64";
    return 0;
  }
  if (take(parser, '-')) {
    out = -unary(parser);
  } else if (take(parser, '+')) {
    out = unary(parser);
  } else if (take(parser, '(')) {
    out = sum(parser);
    if (!take(parser, ')') && parser->wrong == NULL) parser->wrong = "a parenthesis is not closed";
  } else if (!read_number(&parser->in, &out) && parser->wrong == NULL) {
    parser->wrong = parser->in.at == parser->in.end ? "the expression ends too early"
                                                    : "the expression has something else than "
                                                      "numbers, + - * / and parentheses";
  }
  parser->depth--;
  return out;
}

static double product(Parser* parser) {
  double out = unary(parser);
  for (;;) {
    const int times = take(parser, '*');
    if (parser->wrong != NULL || (!times && !take(parser, '/'))) return out;
    parser->operators++;
    const double right = unary(parser);
    if (!times && right == 0 && parser->wrong == NULL) parser->wrong = "division by zero";
    out = times ? out * right : out / right;
  }
}

static double sum(Parser* parser) {
  double out = product(parser);
  for (;;) {
    const int plus = take(parser, '+');
    if (parser->wrong != NULL || (!plus && !take(parser, '-'))) return out;
    parser->operators++;
    const double right = product(parser);
    out = plus ? out + right : out - right;
  }
}

const char* evaluate(const char* text, size_t length, double* value, unsigned* operators) {
  Parser parser = {{text, text + length}, NULL, 0, 0};
  *value = sum(&parser);
  *operators = parser.operators;
  skip_space(&parser.in);
  if (parser.wrong != NULL) return parser.wrong;
  if (parser.in.at != parser.in.end) {
    size_t bytes;
    return operator_at(&parser.in, &bytes) == ')' ? "a parenthesis is closed that was not opened"
                                                  : "two values without an operator between them";
  }
  if (!(*value - *value == 0)) return "the result is out of range";
  return NULL;
}

int answer_expression(const char* text, size_t length) {
  double value;
  unsigned operators;
  const char* const wrong = evaluate(text, length, &value, &operators);
  if (wrong != NULL) return refuse("bad_expression", wrong);
  put("{\"kind\":\"expression\",\"value\":");
  put_number(value);
  put("}\n");
  return 0;
}
