// Writes "tick 1", "tick 2", … and works a while between them, so that a person can watch it.
// Its argument: how many.
#include <string.h>
#include <unistd.h>

static const unsigned long kStepsBetween = 20000000;

static void put(unsigned long number) {
  char text[32];
  char* at = text + sizeof text;
  *--at = '\n';
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  at -= 5;
  memcpy(at, "tick ", 5);
  write(1, at, (unsigned long)(text + sizeof text - at));
}

int main(int count, char** words) {
  unsigned long ticks = 0;
  for (const char* at = count > 1 ? words[1] : "3"; *at >= '0' && *at <= '9'; at++) {
    ticks = ticks * 10 + (unsigned long)(*at - '0');
  }
  for (unsigned long tick = 1; tick <= ticks; tick++) {
    put(tick);
    for (volatile unsigned long step = 0; step < kStepsBetween; step++) {
    }
  }
  return 0;
}
