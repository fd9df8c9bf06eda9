import { expect, it } from "vitest";
import { area, dots, growth, line, niceMax } from "./chart";

const box = { width: 100, height: 50 };

it("the top of a scale is round and not below its values", () => {
  expect([0, -3, Number.NaN, 0.07, 1, 3, 23, 99, 100, 101].map(niceMax)).toEqual([1, 1, 1, 0.1, 1, 5, 25, 100, 100, 200]);
  for (let value = 0.001; value < 1e9; value *= 1.7) expect(niceMax(value)).toBeGreaterThanOrEqual(value * 0.999999);
});
it("values lie between the edges, the newest right", () => {
  expect(dots([0, 5, 10], 10, box)).toEqual([
    { x: 0, y: 50 },
    { x: 50, y: 25 },
    { x: 100, y: 0 },
  ]);
  expect(dots([20, -5], 10, box).map((one) => one.y)).toEqual([0, 50]);
  expect(dots([4], 10, box)).toEqual([{ x: 100, y: 30 }]);
  expect(dots([], 10, box)).toEqual([]);
});
it("paths are closed at the bottom, and empty for nothing", () => {
  const points = dots([0, 10], 10, box);
  expect(line(points)).toBe("M0 50L100 0");
  expect(area(points, box)).toBe("M0 50L100 0L100 50L0 50Z");
  expect(area([], box)).toBe("");
});
it("a counter that starts again did not shrink", () => {
  expect(growth([3, 5, 5, 1, 4])).toEqual([2, 0, 1, 3]);
  expect(growth([3])).toEqual([]);
});
