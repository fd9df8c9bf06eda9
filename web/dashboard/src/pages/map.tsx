import { useState } from "react";
import type { MeshAddress, Node } from "../api/types";
import { layOut, type Region } from "../lib/map";
import { healthTone, number, withUnit } from "../lib/format";
import { go, useResource } from "../lib/hooks";
import { Copy, Empty, Panel, Problem, Table, Waiting } from "../ui/parts";

const size = 640;
const center = size / 2;
const latencyTone = (milliseconds: number | null): string =>
  milliseconds === null ? "quiet" : milliseconds <= 50 ? "good" : milliseconds <= 100 ? "fair" : "bad";
/** A line's width by what passes it: 1 for 10 Mbps, 5 for 1,000 and more. */
const width = (mbps: number | null): number => (mbps === null ? 1 : Math.min(5, 1 + Math.max(0, Math.log10(mbps / 10)) * 2));

function Drawing({ regions, onChoose }: { regions: readonly Region[]; onChoose: (name: string) => void }) {
  return (
    <svg className="fleet" viewBox={`0 0 ${size} ${size}`} role="group" aria-label="Regions around the coordinator">
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
          <g className="label" transform={`translate(${(center + region.x) / 2} ${(center + region.y) / 2})`}>
            <rect x="-48" y="-19" width="96" height="38" rx="6" />
            <text y="-3">{withUnit(region.latencyMs, "ms")}</text>
            <text y="13">{withUnit(region.bandwidthMbps, "Mbps", 0)}</text>
          </g>
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
              if (event.key === "Enter" || event.key === " ") onChoose(region.name);
            }}
          >
            <circle cx={region.x} cy={region.y} r="30" />
            <text x={region.x} y={region.y - 2}>
              {region.name.length > 10 ? `${region.name.slice(0, 9)}…` : region.name}
            </text>
            <text className="small" x={region.x} y={region.y + 13}>
              {number(region.capacity)} cores
            </text>
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
                r="9"
              >
                <title>{`${node.node_id}: ${node.status}, health ${number(node.health_score, 1)}`}</title>
              </circle>
            </a>
          ))}
        </g>
      ))}
      <g className="center">
        <circle cx={center} cy={center} r="38" />
        <text x={center} y={center + 4}>
          coordinator
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
              Lines: median latency and summed bandwidth to the nodes that are online, measured by the coordinator. Dots: nodes, coloured by
              health.
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
