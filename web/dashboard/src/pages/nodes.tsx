import { useState, type FormEvent } from "react";
import { nodeTypes, type Node, type NodeRegistration, type RegisteredNode } from "../api/types";
import { ago, number, words } from "../lib/format";
import { useAction, useApp, useNow, useResource } from "../lib/hooks";
import { Badge, Copy, Dialog, Empty, Field, HealthBar, Panel, Problem, Table, Waiting } from "../ui/parts";

const regions = ["us-west", "us-east", "eu-central", "ap-southeast"];
const statuses = ["online", "offline", "rejected"];

export function NodeState({ node }: { node: Node }) {
  return (
    <span className="badges">
      <Badge text={node.status} />
      {node.cordoned && <Badge text="cordoned" />}
      {node.draining && <Badge text="draining" />}
      {!node.public_key && <Badge text="not joined yet" tone="quiet" />}
    </span>
  );
}

export function Filter(props: { label: string; value: string; options: readonly string[]; onChange: (value: string) => void }) {
  return (
    <label className="filter">
      <span>{props.label}</span>
      <select value={props.value} onChange={(event) => props.onChange(event.target.value)}>
        <option value="">all</option>
        {props.options.map((one) => (
          <option key={one} value={one}>
            {words(one)}
          </option>
        ))}
      </select>
    </label>
  );
}
export function query(filters: Record<string, string>, after: string, limit: number): string {
  const all = new URLSearchParams({ limit: String(limit) });
  Object.entries(filters).forEach(([name, value]) => value && all.set(name, value));
  if (after) all.set("after", after);
  return all.toString();
}

/** Pages forward by cursor, back by what was seen. */
export function usePages(): { after: string; start: () => void; forward: (next: string) => void; back: (() => void) | null } {
  const [seen, setSeen] = useState<string[]>([]);
  return {
    after: seen[seen.length - 1] ?? "",
    start: () => setSeen([]),
    forward: (next) => setSeen([...seen, next]),
    back: seen.length ? () => setSeen(seen.slice(0, -1)) : null,
  };
}
export function Pager({ pages, next }: { pages: ReturnType<typeof usePages>; next: string }) {
  if (!pages.back && !next) return null;
  return (
    <div className="buttons">
      <button type="button" disabled={!pages.back} onClick={() => pages.back?.()}>
        Previous page
      </button>
      <button type="button" disabled={!next} onClick={() => pages.forward(next)}>
        Next page
      </button>
    </div>
  );
}

interface Draft {
  name: string;
  region: string;
  type: string;
  bandwidth: string;
  cores: string;
  memory: string;
  gpu: boolean;
  port: string;
}
const blank: Draft = {
  name: "",
  region: "us-west",
  type: "compute",
  bandwidth: "100",
  cores: "4",
  memory: "8",
  gpu: false,
  port: "",
};
function registration(draft: Draft): NodeRegistration {
  return {
    node_id: draft.name.trim(),
    region: draft.region.trim(),
    node_type: draft.type,
    capabilities: {
      bandwidth_mbps: Number(draft.bandwidth),
      cpu_cores: Number(draft.cores),
      memory_gb: Number(draft.memory),
      gpu_available: draft.gpu,
    },
    ...(draft.port ? { observability_port: Number(draft.port) } : {}),
  };
}

function Place({ draft, set }: { draft: Draft; set: (change: Partial<Draft>) => void }) {
  return (
    <div className="pair">
      <Field label="Region">
        {(ids) => (
          <>
            <input {...ids} required maxLength={32} list="regions" value={draft.region} onChange={(event) => set({ region: event.target.value })} />
            <datalist id="regions">
              {regions.map((one) => (
                <option key={one} value={one} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field label="Type">
        {(ids) => (
          <select {...ids} value={draft.type} onChange={(event) => set({ type: event.target.value })}>
            {nodeTypes.map((one) => (
              <option key={one} value={one}>
                {words(one)}
              </option>
            ))}
          </select>
        )}
      </Field>
    </div>
  );
}

function Fields({ draft, set }: { draft: Draft; set: (change: Partial<Draft>) => void }) {
  const figure = (label: string, name: "bandwidth" | "cores" | "memory" | "port", min: number, max: number, need = true) => (
    <Field label={label}>
      {(ids) => (
        <input
          {...ids}
          type="number"
          required={need}
          min={min}
          max={max}
          step={name === "memory" ? "any" : 1}
          value={draft[name]}
          onChange={(event) => set({ [name]: event.target.value })}
        />
      )}
    </Field>
  );
  return (
    <>
      <Field label="Name" hint="1 to 64 letters, digits, - and _">
        {(ids) => (
          <input
            {...ids}
            required
            maxLength={64}
            pattern="[A-Za-z0-9_\-]+"
            autoCapitalize="none"
            spellCheck={false}
            value={draft.name}
            onChange={(event) => set({ name: event.target.value })}
          />
        )}
      </Field>
      <Place draft={draft} set={set} />
      <p className="hint">Holds until the node joins: from then on it says itself what it offers, and the coordinator measures its bandwidth.</p>
      <div className="pair">
        {figure("Bandwidth, Mbps", "bandwidth", 10, 100_000)}
        {figure("CPU cores", "cores", 1, 256)}
        {figure("Memory, GB", "memory", 1, 2048)}
        {figure("Observability port", "port", 1, 65_535, false)}
      </div>
      <label className="check">
        <input type="checkbox" checked={draft.gpu} onChange={(event) => set({ gpu: event.target.checked })} />
        It has a GPU
      </label>
    </>
  );
}

function Register({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const { client, say } = useApp();
  const [draft, setDraft] = useState(blank);
  const [made, setMade] = useState<RegisteredNode | null>(null);
  const [key] = useState(() => `node-${Date.now()}-${Math.random().toString(36).slice(2)}`);
  const action = useAction(async () => {
    const body = registration(draft);
    const headers = { "Idempotency-Key": `${key}-${body.node_id}` };
    setMade(await client.write<RegisteredNode>("POST", "/nodes", body, headers));
    say(`${body.node_id} is registered`);
    onDone();
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    action.run();
  };
  if (made) {
    return (
      <Dialog title={`${made.node_id} is registered`} onClose={onClose}>
        <p>
          Run this on the machine that shall be <b>{made.node_id}</b>. The token in it works once and is not shown
          again; later starts need no token.
        </p>
        <Copy text={made.join_command} label="Copy the command" />
        <div className="buttons">
          <a className="button primary" href={`#/nodes/${encodeURIComponent(made.node_id)}`} onClick={onClose}>
            Watch it join
          </a>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="Register a node" onClose={onClose}>
      <form onSubmit={submit}>
        <Fields draft={draft} set={(change) => setDraft({ ...draft, ...change })} />
        <Problem error={action.error} />
        <div className="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="primary" disabled={action.busy}>
            Register
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function List({ nodes }: { nodes: readonly Node[] }) {
  const now = useNow();
  return (
    <Table
      name="Nodes"
      columns={["Node", "Region", "Type", "Health", "Status", "Tasks", "Seen"]}
      rows={nodes.map((node) => ({
        key: node.node_id,
        cells: [
          <a href={`#/nodes/${encodeURIComponent(node.node_id)}`}>{node.node_id}</a>,
          node.region,
          words(node.node_type),
          <HealthBar score={node.health_score} />,
          <NodeState node={node} />,
          <span>
            {number(node.active_tasks)} <span className="quiet">now, {number(node.completed_tasks)} done</span>
          </span>,
          ago(node.public_key ? node.last_seen : null, now),
        ],
      }))}
    />
  );
}

export function Nodes() {
  const [filters, setFilters] = useState({ status: "", region: "", type: "" });
  const pages = usePages();
  const [adding, setAdding] = useState(false);
  const { data, error, next, reload } = useResource<Node[]>(`/nodes?${query(filters, pages.after, 50)}`, ["node"]);
  const change = (one: Partial<typeof filters>): void => {
    setFilters({ ...filters, ...one });
    pages.start();
  };
  const filtered = Object.values(filters).some(Boolean);
  return (
    <>
      <div className="heading">
        <h1>Nodes</h1>
        <button type="button" className="primary" onClick={() => setAdding(true)}>
          Register a node
        </button>
      </div>
      <div className="filters">
        <Filter label="Status" value={filters.status} options={statuses} onChange={(status) => change({ status })} />
        <label className="filter">
          <span>Region</span>
          <input value={filters.region} maxLength={32} placeholder="all" list="regions-seen" onChange={(event) => change({ region: event.target.value.trim() })} />
          <datalist id="regions-seen">
            {[...new Set(data?.map((node) => node.region) ?? regions)].map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
        </label>
        <Filter label="Type" value={filters.type} options={nodeTypes} onChange={(type) => change({ type })} />
      </div>
      <Problem error={error} again={reload} />
      <Panel title="All nodes" side={data && <span className="quiet">{number(data.length)} shown</span>}>
        {data === null && !error && <Waiting />}
        {data?.length === 0 &&
          (filtered ? (
            <Empty title="No node fits these filters.">
              <button type="button" onClick={() => change({ status: "", region: "", type: "" })}>
                Show all
              </button>
            </Empty>
          ) : (
            <Empty title="No node is registered.">
              <p>Register one; you get a command to run on the machine that shall be it.</p>
            </Empty>
          ))}
        {data && data.length > 0 && <List nodes={data} />}
        <Pager pages={pages} next={next} />
      </Panel>
      {adding && <Register onClose={() => setAdding(false)} onDone={reload} />}
    </>
  );
}
