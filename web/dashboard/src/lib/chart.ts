// Geometry of small line charts: from values to paths, without a drawing surface.

export interface Box {
  width: number;
  height: number;
}
export interface Dot {
  x: number;
  y: number;
}
/** The least "round" number (1, 2, 2.5, 5 × 10ⁿ) that is not below the value; 1 for nothing. */
export function niceMax(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((one) => one * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}
/** Where values lie in a box, oldest left, 0 at the bottom. One value lies at the right edge. */
export function dots(values: readonly number[], max: number, box: Box): Dot[] {
  const last = values.length - 1;
  return values.map((value, at) => ({
    x: last === 0 ? box.width : (at / last) * box.width,
    y: box.height - (Math.min(Math.max(value, 0), max) / max) * box.height,
  }));
}
const round = (value: number): string => String(Math.round(value * 100) / 100);
export function line(points: readonly Dot[]): string {
  return points.map(({ x, y }, at) => `${at === 0 ? "M" : "L"}${round(x)} ${round(y)}`).join("");
}
export function area(points: readonly Dot[], box: Box): string {
  const first = points[0];
  const last = points[points.length - 1];
  if (!first || !last) return "";
  return `${line(points)}L${round(last.x)} ${box.height}L${round(first.x)} ${box.height}Z`;
}
/** What a counter grew by between neighbours; a restart (it fell) counts from zero. */
export function growth(values: readonly number[]): number[] {
  return values.slice(1).map((value, at) => {
    const before = values[at] ?? 0;
    return value >= before ? value - before : value;
  });
}
