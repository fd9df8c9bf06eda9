import { describe, expect, it } from "vitest";
import { ago, base64Text, bytes, clock, credits, duration, energy, healthTone, number, short, stateTone, withUnit } from "./format";

describe("what is not known", () => {
  it.each([null, undefined, Number.NaN, Number.POSITIVE_INFINITY])("is never a figure: %s", (value) => {
    for (const shown of [number(value), withUnit(value, "W"), credits(value), bytes(value), energy(value), duration(value)]) {
      expect(shown).toBe("unknown");
    }
  });
  it("is told from zero", () => {
    expect(withUnit(0, "W")).toBe("0\u00a0W");
    expect(energy(0)).toBe("0 J");
    expect(duration(0)).toBe("0 ms");
  });
  it("of a moment is never or unknown", () => {
    expect(ago(null, 5)).toBe("never");
    expect(ago("1970-01-01T00:00:00Z", 5)).toBe("never");
    expect(ago("no date", 5)).toBe("never");
    expect(clock("no date")).toBe("unknown");
  });
});

describe("figures", () => {
  it("have thousands apart and no trailing zeros", () => {
    expect(number(1234567.5, 2)).toBe("1,234,567.5");
    expect(number(12, 1)).toBe("12");
    expect(credits(5321)).toBe("5,321\u00a0cr");
  });
  it("change unit where it reads better", () => {
    expect([bytes(999), bytes(1000), bytes(999_949), bytes(999_999), bytes(50_000_000)]).toEqual([
      "999 B",
      "1 kB",
      "999.9 kB",
      "1 MB",
      "50 MB",
    ]);
    expect([energy(999), energy(1000), energy(3_600_000)]).toEqual(["999 J", "1 kJ", "1 kWh"]);
    expect([duration(999), duration(1500), duration(59_999), duration(60_000), duration(3_600_000), duration(172_800_000)]).toEqual([
      "999 ms",
      "1.5 s",
      "60 s",
      "1 min",
      "1 h",
      "2 d",
    ]);
  });
  it("of time past stand a little ahead of us without harm", () => {
    const now = Date.parse("2026-01-02T03:04:05Z");
    expect(ago("2026-01-02T03:04:06Z", now)).toBe("now");
    expect(ago("2026-01-02T03:03:55Z", now)).toBe("10 s ago");
    expect(ago(now - 120_000, now)).toBe("2 min ago");
  });
});

it("ids are cut only when that saves something", () => {
  expect([short("12345678"), short("1234567890"), short("12345678901"), short(""), short(null)]).toEqual([
    "12345678",
    "1234567890",
    "12345678…",
    "–",
    "–",
  ]);
});
it("tones follow the meaning of a state", () => {
  expect([stateTone("verified"), stateTone("refuted"), stateTone("half_open"), stateTone("something new")]).toEqual([
    "good",
    "bad",
    "fair",
    "quiet",
  ]);
  expect([healthTone(70), healthTone(69.9), healthTone(40), healthTone(39.9)]).toEqual(["good", "fair", "fair", "bad"]);
});
it("base64 becomes the bytes it stands for", () => {
  expect([...base64Text("AP8Q")]).toEqual([0, 255, 16]);
});
