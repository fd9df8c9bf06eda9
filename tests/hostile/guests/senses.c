// Tells what a guest can sense: arguments, environment, clocks, randomness, and what is not there.
// One line each.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static void put(const char* text) {
  write(1, text, strlen(text));
}

static void put_hex(const unsigned char* bytes, unsigned long count) {
  static const char digits[] = "0123456789abcdef";
  for (unsigned long i = 0; i < count; i++) {
    const char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
    write(1, pair, 2);
  }
}

static void put_number(unsigned long long value) {
  char text[24];
  char* at = text + sizeof text;
  *--at = 0;
  do {
    *--at = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  put(at);
}

int main(int argc, char** argv) {
  for (int i = 0; i < argc; i++) {
    put("arg ");
    put(argv[i]);
    put("\n");
  }
  for (char** e = environ; *e != NULL; e++) {
    put("env ");
    put(*e);
    put("\n");
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  put("seconds ");
  put_number((unsigned long long)now.tv_sec);
  put("\nrandom ");
  unsigned char random[16];
  getentropy(random, sizeof random);
  put_hex(random, sizeof random);
  put("\nopen ");
  put(open("/etc/passwd", O_RDONLY) < 0 ? "fails" : "succeeds");
  put("\n");
  write(2, "done\n", 5);
  return 3;
}
