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

/** From where to where the drawing reaches, top and height, with room for the dots. */
export function extent(regions: readonly Region[], size: number): { top: number; height: number } {
  const radius = regionRadius(size, regions.length);
  const all = regions.flatMap((region) => [region.y - radius, region.y + radius, ...region.nodes.map((one) => one.y)]);
  const top = Math.min(size / 2 - 60, ...all) - 20;
  return { top, height: Math.max(size / 2 + 60, ...all) + 20 - top };
}

/** Steps of 21° to both sides of where the region looks. */
function onArc(center: Dot, radius: number, outward: number, step: number): Dot {
  const angle = outward + (step * 21 * Math.PI) / 180;
  return { x: center.x + radius * Math.cos(angle), y: center.y + radius * Math.sin(angle) };
}
/** As large as neighbours allow. */
export function regionRadius(size: number, regions: number): number {
  const apart = regions < 2 ? size : 2 * size * 0.31 * Math.sin(Math.PI / regions);
  return Math.min(size * 0.105, apart * 0.45);
}

/** Places within a square of `size`; the same fleet lies the same way each time. */
export function layOut(nodes: readonly Node[], size: number): Region[] {
  const groups = new Map<string, Node[]>();
  for (const node of nodes) groups.set(node.region, [...(groups.get(node.region) ?? []), node]);
  const names = [...groups.keys()].sort();
  const center = { x: size / 2, y: size / 2 };
  return names.map((name, at) => {
    const all = (groups.get(name) ?? []).sort((a, b) => (a.node_id < b.node_id ? -1 : 1));
    const place = around(center, size * 0.31, names.length, at, -Math.PI / 2);
    const drawn = all.slice(0, nodesDrawnMax);
    const outward = Math.atan2(place.y - center.y, place.x - center.x);
    const radius = regionRadius(size, names.length) + size * 0.034;
    const online = all.filter((node) => node.status === "online");
    const bandwidths = known(online.map((node) => node.health?.bandwidth.value));
    return {
      name,
      ...place,
      nodes: drawn.map((node, index) => ({
        node,
        ...onArc(place, radius, outward, index - (drawn.length - 1) / 2),
      })),
      hidden: all.length - drawn.length,
      online: online.length,
      capacity: online.reduce((sum, node) => sum + node.capabilities.cpu_cores, 0),
      latencyMs: median(known(online.map((node) => node.health?.latency.value))),
      bandwidthMbps: bandwidths.length ? bandwidths.reduce((sum, one) => sum + one, 0) : null,
    };
  });
}
