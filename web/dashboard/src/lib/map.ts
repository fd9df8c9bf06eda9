// A schematic of the fleet: the coordinator in the middle, regions around it, nodes around these.

import type { Node } from "../api/types";
import type { Dot } from "./chart";

export interface PlacedNode extends Dot {
  node: Node;
}
export interface Region extends Dot {
  name: string;
  nodes: PlacedNode[];
  hidden: number; // nodes that are not drawn one by one
  online: number;
  capacity: number; // cores
  latencyMs: number | null; // median of what is known
  bandwidthMbps: number | null; // sum of what is known
}
export const nodesDrawnMax = 12;

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
const known = (values: (number | null | undefined)[]): number[] =>
  values.filter((value): value is number => typeof value === "number");

function around(center: Dot, radius: number, count: number, at: number, turn: number): Dot {
  const angle = turn + (at / Math.max(count, 1)) * 2 * Math.PI;
  return { x: center.x + radius * Math.cos(angle), y: center.y + radius * Math.sin(angle) };
}

/** Places within a square of `size`; the same fleet lies the same way each time. */
export function layOut(nodes: readonly Node[], size: number): Region[] {
  const groups = new Map<string, Node[]>();
  for (const node of nodes) groups.set(node.region, [...(groups.get(node.region) ?? []), node]);
  const names = [...groups.keys()].sort();
  const center = { x: size / 2, y: size / 2 };
  return names.map((name, at) => {
    const all = (groups.get(name) ?? []).sort((a, b) => (a.node_id < b.node_id ? -1 : 1));
    const place = around(center, size * 0.33, names.length, at, -Math.PI / 2);
    const drawn = all.slice(0, nodesDrawnMax);
    const outward = Math.atan2(place.y - center.y, place.x - center.x);
    const radius = size * Math.min(0.13, names.length > 6 ? 0.08 : 0.11);
    const online = all.filter((node) => node.status === "online");
    const bandwidths = known(online.map((node) => node.health?.bandwidth.value));
    return {
      name,
      ...place,
      nodes: drawn.map((node, index) => ({
        node,
        ...around(place, radius, drawn.length, index, outward),
      })),
      hidden: all.length - drawn.length,
      online: online.length,
      capacity: online.reduce((sum, node) => sum + node.capabilities.cpu_cores, 0),
      latencyMs: median(known(online.map((node) => node.health?.latency.value))),
      bandwidthMbps: bandwidths.length ? bandwidths.reduce((sum, one) => sum + one, 0) : null,
    };
  });
}
