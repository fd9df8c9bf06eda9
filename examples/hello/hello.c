// hello.c — the smallest useful job: reads all of stdin and writes it back reversed.
//
//   printf 'Hello, World' | <run> hello.wasm      prints   dlroW ,olleH
//
// Straight WASI calls and no stdio, so that the module is about one kilobyte. The input may be as
// long as the memory limit allows; above it the program says so on stderr and exits with 1. Built
// natively too (HELLO_NATIVE): the same lines then serve as the baseline of the benchmarks.
#include <stddef.h>

#ifdef HELLO_NATIVE
#include <stdlib.h>
#include <unistd.h>
#else
#include <wasi/api.h>
#endif

enum { kFirstBytes = 1 << 16 };  // one page of linear memory; doubled whenever it is full

#ifdef HELLO_NATIVE

static char* grow(char* buffer, size_t bytes) {
  return realloc(buffer, bytes);
}

static long read_some(char* to, size_t bytes) {
  return read(0, to, bytes);
}

static long write_some(int fd, const char* from, size_t bytes) {
  return write(fd, from, bytes);
}

#else

static const size_t kPageBytes = 65536;
extern char __heap_base;  // from the linker: the first address nothing else uses

// The buffer starts at the end of the static data and is all that lies behind it.
static char* grow(char* buffer, size_t bytes) {
  (void)buffer;
  const size_t end = (size_t)&__heap_base + bytes;
  const size_t have = __builtin_wasm_memory_size(0) * kPageBytes;
  if (end < bytes) return NULL;
  if (end > have) {
    const size_t pages = (end - have + kPageBytes - 1) / kPageBytes;
    if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) return NULL;
  }
  return &__heap_base;
}

static long read_some(char* to, size_t bytes) {
  const __wasi_iovec_t part = {(uint8_t*)to, bytes};
  __wasi_size_t got = 0;
  return __wasi_fd_read(0, &part, 1, &got) == __WASI_ERRNO_SUCCESS ? (long)got : -1;
}

static long write_some(int fd, const char* from, size_t bytes) {
  const __wasi_ciovec_t part = {(const uint8_t*)from, bytes};
  __wasi_size_t put = 0;
  return __wasi_fd_write(fd, &part, 1, &put) == __WASI_ERRNO_SUCCESS ? (long)put : -1;
}

#endif

static int write_all(int fd, const char* from, size_t bytes) {
  while (bytes > 0) {
    const long put = write_some(fd, from, bytes);
    if (put <= 0) return 1;
    from += put;
    bytes -= (size_t)put;
  }
  return 0;
}

int main(void) {
  static const char kTooLarge[] = "hello: the input does not fit in memory\n";
  size_t room = kFirstBytes, length = 0;
  char* text = grow(NULL, room);
  for (;;) {
    if (text != NULL && length == room) {
      room *= 2;
      text = room > length ? grow(text, room) : NULL;
    }
    if (text == NULL) {
      write_all(2, kTooLarge, sizeof kTooLarge - 1);
      return 1;
    }
    const long got = read_some(text + length, room - length);
    if (got < 0) return 1;
    if (got == 0) break;
    length += (size_t)got;
  }
  for (size_t i = 0; i < length / 2; i++) {
    const char last = text[length - 1 - i];
    text[length - 1 - i] = text[i];
    text[i] = last;
  }
  return write_all(1, text, length);
}
