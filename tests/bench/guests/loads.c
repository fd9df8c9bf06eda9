// Processor-bound loads of the benchmarks besides hashing: branches (sort), floating point over
// memory (matrix), floating point in registers (bodies). As a WASI module the first argument names
// the load and its result is written; natively (BENCH_NATIVE) the same lines are one function.
#include <stdint.h>
#include <string.h>

enum { kNumbers = 1 << 20, kSide = 240, kBodies = 5, kSteps = 400000 };

static uint32_t numbers[kNumbers];

static void sift(uint32_t* heap, uint32_t at, uint32_t count) {
  const uint32_t value = heap[at];
  for (uint32_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && heap[child + 1] > heap[child]) child++;
    if (heap[child] <= value) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = value;
}

static uint64_t sort(void) {
  uint32_t state = 2463534242;  // xorshift32 (Marsaglia 2003)
  for (uint32_t i = 0; i < kNumbers; i++) {
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    numbers[i] = state;
  }
  for (uint32_t i = kNumbers / 2; i-- > 0;) sift(numbers, i, kNumbers);
  for (uint32_t left = kNumbers - 1; left > 0; left--) {
    const uint32_t most = numbers[0];
    numbers[0] = numbers[left];
    numbers[left] = most;
    sift(numbers, 0, left);
  }
  uint64_t sum = 0;
  for (uint32_t i = 0; i < kNumbers; i += 4099) sum = sum * 31 + numbers[i];
  return sum;
}

static double a[kSide][kSide], b[kSide][kSide], c[kSide][kSide];

static uint64_t bits(double value) {
  uint64_t out;
  memcpy(&out, &value, sizeof out);
  return out;
}

static uint64_t matrix(void) {
  for (int i = 0; i < kSide; i++) {
    for (int j = 0; j < kSide; j++) {
      a[i][j] = i + j, b[i][j] = i - j, c[i][j] = 0;
    }
  }
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < kSide; i++) {
      for (int k = 0; k < kSide; k++) {
        for (int j = 0; j < kSide; j++) c[i][j] += a[i][k] * b[k][j];
      }
    }
  }
  return bits(c[kSide / 2][kSide / 3]);
}

struct body {
  double x, y, z, vx, vy, vz, mass;
};

static double root(double value) {
  return __builtin_sqrt(value);
}

static uint64_t bodies(void) {
  struct body all[kBodies];
  for (int i = 0; i < kBodies; i++) {
    all[i] = (struct body){i * 3.0, i * 1.5 - 2, i * 0.25, 0.1 * i, -0.05 * i, 0.02, 1.0 / (i + 1)};
  }
  for (int step = 0; step < kSteps; step++) {
    for (int i = 0; i < kBodies; i++) {
      struct body* one = &all[i];
      for (int j = i + 1; j < kBodies; j++) {
        struct body* two = &all[j];
        const double x = one->x - two->x, y = one->y - two->y, z = one->z - two->z;
        const double squared = x * x + y * y + z * z + 0.01;
        const double pull = 0.001 / (squared * root(squared));
        one->vx -= x * two->mass * pull, two->vx += x * one->mass * pull;
        one->vy -= y * two->mass * pull, two->vy += y * one->mass * pull;
        one->vz -= z * two->mass * pull, two->vz += z * one->mass * pull;
      }
    }
    for (int i = 0; i < kBodies; i++) {
      all[i].x += 0.001 * all[i].vx, all[i].y += 0.001 * all[i].vy, all[i].z += 0.001 * all[i].vz;
    }
  }
  return bits(all[0].x) ^ bits(all[4].y);
}

uint64_t run_load(const char* name) {
  if (strcmp(name, "sort") == 0) return sort();
  if (strcmp(name, "matrix") == 0) return matrix();
  return strcmp(name, "bodies") == 0 ? bodies() : 0;
}

#ifndef BENCH_NATIVE
#include <unistd.h>
int main(int argc, char** argv) {
  const uint64_t result = run_load(argc > 1 ? argv[1] : "");
  return write(1, &result, sizeof result) == sizeof result ? 0 : 1;
}
#endif
