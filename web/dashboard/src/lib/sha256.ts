// SHA-256 (FIPS 180-4). The browser's own is missing on pages that came over plain HTTP.

const fractions = (count: number, root: (prime: number) => number): number[] => {
  const out: number[] = [];
  for (let candidate = 2; out.length < count; candidate += 1) {
    let prime = true;
    for (let factor = 2; factor * factor <= candidate; factor += 1) {
      if (candidate % factor === 0) prime = false;
    }
    if (prime) out.push(((root(candidate) % 1) * 2 ** 32) | 0);
  }
  return out;
};
const start = fractions(8, Math.sqrt);
const rounds = fractions(64, Math.cbrt);
const turn = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

function padded(message: Uint8Array): DataView {
  const out = new Uint8Array((((message.length + 8) >> 6) + 1) << 6);
  out.set(message);
  out[message.length] = 0x80;
  const view = new DataView(out.buffer);
  view.setUint32(out.length - 8, Math.floor(message.length / 2 ** 29));
  view.setUint32(out.length - 4, message.length << 3);
  return view;
}

function block(view: DataView, at: number, state: number[]): void {
  const w = new Int32Array(64);
  for (let i = 0; i < 64; i += 1) {
    const a = w[i - 15] ?? 0;
    const b = w[i - 2] ?? 0;
    w[i] =
      i < 16
        ? view.getInt32(at + 4 * i)
        : (w[i - 16] ?? 0) +
          (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) +
          (w[i - 7] ?? 0) +
          (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = state as [
    number, number, number, number, number, number, number, number,
  ];
  for (let i = 0; i < 64; i += 1) {
    const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (rounds[i] ?? 0) + (w[i] ?? 0)) | 0;
    const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => {
    state[i] = ((state[i] ?? 0) + word) | 0;
  });
}

/** Lower-case hex. */
export function sha256Hex(message: Uint8Array): string {
  const view = padded(message);
  const state = [...start];
  for (let at = 0; at < view.byteLength; at += 64) block(view, at, state);
  return state.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}
