import { useState } from "react";
import type { MeshAddress, Node } from "../api/types";
import { extent, layOut, regionRadius, type Region } from "../lib/map";
import { healthTone, number, withUnit } from "../lib/format";
import { go, useResource } from "../lib/hooks";
import { Copy, Empty, Panel, Problem, Table, Waiting } from "../ui/parts";

const size = 640;
const center = size / 2;
const latencyTone = (milliseconds: number | null): string =>
  milliseconds === null ? "quiet" : milliseconds <= 50 ? "good" : milliseconds <= 100 ? "fair" : "bad";
/** A line's width by what passes it: 1 for 10 Mbps, 5 for 1,000 and more. */
const width = (mbps: number | null): number => (mbps === null ? 1 : Math.min(5, 1 + Math.max(0, Math.log10(mbps / 10)) * 2));

const lines = (region: Region): string[] => [
  region.name.length > 10 ? `${region.name.slice(0, 9)}…` : region.name,
  withUnit(region.latencyMs, "ms"),
  withUnit(region.bandwidthMbps, "Mbps", 0),
  `${number(region.capacity)} cores`,
];

function Drawing({ regions, onChoose }: { regions: readonly Region[]; onChoose: (name: string) => void }) {
  const radius = regionRadius(size, regions.length);
  const { top, height } = extent(regions, size);
  return (
    <svg className="fleet" viewBox={`0 ${top} ${size} ${height}`} role="group" aria-label="Regions around the coordinator">
      {regions.map((region) => (
        <g key={region.name}>
          <line
            className={`link ${latencyTone(region.latencyMs)}`}
            x1={center}
            y1={center}
            x2={region.x}
            y2={region.y}
            strokeWidth={width(region.bandwidthMbps)}
          />
        </g>
      ))}
      {regions.map((region) => (
        <g key={region.name}>
          {region.nodes.map(({ node, x, y }) => (
            <line key={node.node_id} className="spoke" x1={region.x} y1={region.y} x2={x} y2={y} />
          ))}
          <g
            className="region"
            role="button"
            tabIndex={0}
            aria-label={`${region.name}: ${region.online} online, ${region.capacity} cores, ${withUnit(region.latencyMs, "ms")}`}
            onClick={() => onChoose(region.name)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" && event.key !== " ") return;
              event.preventDefault();
              onChoose(region.name);
            }}
          >
            <circle cx={region.x} cy={region.y} r={radius} />
            {lines(region).map((line, at) => (
              <text key={at} className={at === 0 ? "name" : ""} x={region.x} y={region.y + (at - 1.5) * radius * 0.38}>
                {line}
              </text>
            ))}
          </g>
          {region.nodes.map(({ node, x, y }) => (
            <a
              key={node.node_id}
              href={`#/nodes/${encodeURIComponent(node.node_id)}`}
              aria-label={`${node.node_id}, ${node.status}, health ${number(node.health_score, 1)}`}
            >
              <circle
                className={`node ${node.status === "online" ? healthTone(node.health_score) : "quiet"}`}
                cx={x}
                cy={y}
                r="10"
              >
                <title>{`${node.node_id}: ${node.status}, health ${number(node.health_score, 1)}`}</title>
              </circle>
            </a>
          ))}
        </g>
      ))}
      <g className="center">
        <circle cx={center} cy={center} r="52" />
        <text x={center} y={center}>
          hub
        </text>
      </g>
    </svg>
  );
}

export function FleetMap() {
  const { data, error, reload } = useResource<Node[]>("/nodes?limit=500", ["node"]);
  const mesh = useResource<MeshAddress>("/mesh");
  const [chosen, setChosen] = useState("");
  const regions = layOut((data ?? []).filter((node) => node.status !== "rejected"), size);
  const shown = regions.filter((region) => !chosen || region.name === chosen);
  return (
    <>
      <h1>Map</h1>
      <Problem error={error} again={reload} />
      <Panel title="Regions and links" side={chosen && <button type="button" className="small" onClick={() => setChosen("")}>All regions</button>}>
        {!data && !error && <Waiting rows={6} />}
        {data && regions.length === 0 && (
          <Empty title="There is nothing to draw yet.">
            <button type="button" onClick={() => go("/nodes")}>
              Register a node
            </button>
          </Empty>
        )}
        {regions.length > 0 && (
          <>
            <Drawing regions={shown} onChoose={(name) => setChosen(name === chosen ? "" : name)} />
            <p className="hint">
              Each region shows the median latency and the summed bandwidth of its nodes that are online, measured by the
              coordinator, and their cores, said by their owners. Dots are nodes, coloured by health; the hub is the
              coordinator.
            </p>
          </>
        )}
      </Panel>
      {regions.length > 0 && (
        <Panel title="Links">
          <Table
            name="Links"
            columns={["Node", "Region", "Latency", "Bandwidth", "Cores", "Tasks"]}
            rows={(data ?? [])
              .filter((node) => !chosen || node.region === chosen)
              .map((node) => ({
                key: node.node_id,
                cells: [
                  <a href={`#/nodes/${encodeURIComponent(node.node_id)}`}>{node.node_id}</a>,
                  node.region,
                  withUnit(node.health.latency.value, "ms"),
                  withUnit(node.health.bandwidth.value, "Mbps"),
                  number(node.capabilities.cpu_cores),
                  number(node.active_tasks),
                ],
              }))}
          />
        </Panel>
      )}
      <Panel title="Where nodes dial">
        <Problem error={mesh.error} again={mesh.reload} />
        {mesh.data?.addresses.map((address) => <Copy key={address} text={address} label="Copy the address" />)}
        {mesh.data && mesh.data.addresses.length === 0 && <p className="quiet">The coordinator listens nowhere.</p>}
      </Panel>
    </>
  );
}
