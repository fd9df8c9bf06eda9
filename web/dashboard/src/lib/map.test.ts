import { expect, it } from "vitest";
import type { Node } from "../api/types";
import { layOut, median, nodesDrawnMax, regionRadius } from "./map";

const node = (id: string, region: string, latency: number | null, status = "online"): Node =>
  ({
    node_id: id,
    region,
    status,
    capabilities: { cpu_cores: 4 },
    health: { latency: { value: latency }, bandwidth: { value: latency === null ? null : 100 } },
  }) as Node;

it("a median of nothing is not known", () => {
  expect([median([]), median([3]), median([3, 1]), median([9, 1, 2])]).toEqual([null, 3, 2, 2]);
});
it("regions show what is known of nodes that are online", () => {
  const [eu, us] = layOut([node("b", "us", 10), node("a", "us", 30), node("c", "us", 999, "offline"), node("d", "eu", null)], 600);
  expect(eu).toMatchObject({ name: "eu", latencyMs: null, bandwidthMbps: null, capacity: 4 });
  expect(us).toMatchObject({ name: "us", latencyMs: 20, bandwidthMbps: 200, capacity: 8, online: 2 });
  expect(us?.nodes.map((one) => one.node.node_id)).toEqual(["a", "b", "c"]);
});
it("everything lies within the drawing, and regions do not overlap", () => {
  for (const count of [1, 2, 3, 5, 8, 12]) {
    const nodes = Array.from({ length: count * 20 }, (_, at) => node(`n${at}`, `r${at % count}`, 5));
    const regions = layOut(nodes, 600);
    const radius = regionRadius(600, count);
    expect(regions).toHaveLength(count);
    regions.forEach((region, at) => {
      expect(region.nodes).toHaveLength(nodesDrawnMax);
      expect(region.hidden).toBe(20 - nodesDrawnMax);
      for (const { x, y } of [region, ...region.nodes]) {
        expect(Math.min(x, y)).toBeGreaterThan(8);
        expect(Math.max(x, y)).toBeLessThan(592);
      }
      for (const other of regions.slice(at + 1)) {
        expect(Math.hypot(region.x - other.x, region.y - other.y)).toBeGreaterThan(2 * radius * 0.99);
      }
    });
  }
});
