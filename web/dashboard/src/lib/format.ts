// How values are written for people. `null` and what is no number is "unknown", never 0.

export const unknown = "unknown";

const known = (value: number | null | undefined): value is number =>
  typeof value === "number" && Number.isFinite(value);

/** At most `digits` decimals, thousands apart, no trailing zeros. */
export function number(value: number | null | undefined, digits = 0): string {
  if (!known(value)) return unknown;
  return value.toLocaleString("en-GB", { maximumFractionDigits: digits });
}
export function withUnit(value: number | null | undefined, unit: string, digits = 1): string {
  if (!known(value)) return unknown;
  const text = number(value, digits);
  return unit === "" ? text : unit === "%" ? `${text}\u00a0%` : `${text}\u00a0${unit}`;
}
export function credits(value: number | null | undefined): string {
  return known(value) ? `${number(value)}\u00a0cr` : unknown;
}
export function bytes(value: number | null | undefined): string {
  if (!known(value)) return unknown;
  if (value < 1000) return `${number(value)} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let shown = value;
  let unit = -1;
  do {
    shown /= 1000;
    unit += 1;
  } while (shown >= 999.95 && unit < units.length - 1);
  return `${number(shown, 1)} ${units[unit]}`;
}
export function energy(joules: number | null | undefined): string {
  if (!known(joules)) return unknown;
  if (joules >= 3_600_000) return `${number(joules / 3_600_000, 2)} kWh`;
  return joules >= 1000 ? `${number(joules / 1000, 1)} kJ` : `${number(joules, 1)} J`;
}
/** "850 ms", "4.2 s", "3 min", "2 h", "5 d". */
export function duration(milliseconds: number | null | undefined): string {
  if (!known(milliseconds)) return unknown;
  if (milliseconds < 1000) return `${number(Math.max(0, milliseconds))} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
export function milliseconds(moment: string | number | null | undefined): number | null {
  if (moment === null || moment === undefined || moment === "") return null;
  const value = typeof moment === "number" ? moment : Date.parse(moment);
  return Number.isFinite(value) ? value : null;
}
/** Time since a moment: "12 s ago". Clocks differ, so a moment just ahead is "now". */
export function ago(moment: string | number | null | undefined, now: number): string {
  const at = milliseconds(moment);
  if (at === null || at <= 0) return "never";
  const past = now - at;
  return past < 1000 ? "now" : `${duration(Math.floor(past / 1000) * 1000)} ago`;
}
/** In the reader's time zone, to the second. */
export function clock(moment: string | number | null | undefined): string {
  const at = milliseconds(moment);
  if (at === null) return unknown;
  const date = new Date(at);
  const two = (part: number): string => String(part).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
/** The beginning of a long id; the whole stands in a title beside it. */
export function short(id: string | null | undefined, length = 8): string {
  if (!id) return "–";
  return id.length <= length + 2 ? id : `${id.slice(0, length)}…`;
}
export function words(name: string): string {
  return name.replaceAll("_", " ");
}
export type Tone = "good" | "fair" | "bad" | "quiet" | "busy";
export function healthTone(score: number): Tone {
  return score >= 70 ? "good" : score >= 40 ? "fair" : "bad";
}
const tones: Record<string, Tone> = {
  online: "good",
  completed: "good",
  verified: "good",
  closed: "good",
  running: "busy",
  committed: "busy",
  assigned: "busy",
  pending: "quiet",
  superseded: "quiet",
  ended: "quiet",
  cancelled: "quiet",
  offline: "quiet",
  half_open: "fair",
  cordoned: "fair",
  draining: "fair",
  failed: "bad",
  refuted: "bad",
  rejected: "bad",
  open: "bad",
};
export function stateTone(state: string): Tone {
  return tones[state] ?? "quiet";
}
export function base64Text(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
