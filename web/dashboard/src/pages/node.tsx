import { useState } from "react";
import type { Breaker, Claimed, Health, Node, Term } from "../api/types";
import { ago, clock, credits, duration, energy, number, short, withUnit, words } from "../lib/format";
import { go, useAction, useApp, useNow, useResource } from "../lib/hooks";
import { Badge, Confirm, Empty, Facts, HealthBar, Panel, Problem, Waiting } from "../ui/parts";
import { NodeState } from "./nodes";

const terms = [
  ["bandwidth", "Bandwidth", 0.4],
  ["latency", "Latency", 0.3],
  ["compute", "Compute", 0.2],
  ["reputation", "Reputation", 0.1],
] as const;

function TermRow({ name, weight, term }: { name: string; weight: number; term: Term }) {
  const known = term.value !== null;
  return (
    <li className="term" data-term={name.toLowerCase()}>
      <div className="head">
        <b>{name}</b>
        <span className="quiet">weight {weight}</span>
      </div>
      <div className="value">{known ? withUnit(term.value, term.unit, 2) : "unknown"}</div>
      <HealthBar score={term.score * 100} />
      <div className="sum">
        {weight} × {number(term.score * 100, 1)} = <b>{number(weight * term.score * 100, 1)}</b>
      </div>
      <div className="evidence">
        {term.evidence || "no evidence"}
        {term.age_ms !== null && <span className="quiet">, {duration(term.age_ms)} old</span>}
      </div>
    </li>
  );
}

export function HealthTerms({ health }: { health: Health }) {
  return (
    <Panel title="Health" side={<HealthBar score={health.score} />}>
      <ul className="terms">
        {terms.map(([key, name, weight]) => (
          <TermRow key={key} name={name} weight={weight} term={health[key]} />
        ))}
      </ul>
      <p className="hint">What is unknown counts as 0 and is shown as unknown.</p>
    </Panel>
  );
}

function Breakers({ breakers }: { breakers: readonly Breaker[] }) {
  return (
    <Panel title="Breakers">
      {breakers.length === 0 && <p className="quiet">Nothing was heard from this node yet.</p>}
      <ul className="breakers">
        {breakers.map((one) => (
          <li key={one.name}>
            <b>{words(one.name)}</b> <Badge text={one.state} />
            <span className="quiet">{one.detail}</span>
          </li>
        ))}
      </ul>
      <p className="hint">An open breaker keeps new tasks away; half open, one task tries whether it is over.</p>
    </Panel>
  );
}

function ClaimedReadings({ claimed }: { claimed: Claimed }) {
  return (
    <Panel title="Readings" side={<Badge text="claimed by the node" tone="quiet" />}>
      <Facts
        rows={[
          ["CPU", withUnit(claimed.cpu_percent, "%")],
          ["Memory", withUnit(claimed.memory_percent, "%")],
          ["GPU", withUnit(claimed.gpu_percent, "%")],
          ["Temperature", withUnit(claimed.temperature_c, "°C")],
          ["Power", withUnit(claimed.power_watts, "W")],
          ["Energy since it started", energy(claimed.energy_joules)],
        ]}
      />
    </Panel>
  );
}

interface Change {
  word: string;
  label: string;
  title: string;
  text: string;
  danger: boolean;
}
const changes: Record<string, Change> = {
  cordon: {
    word: "cordon",
    label: "Cordon",
    title: "Cordon this node?",
    text: "It gets no new task. Tasks that run on it go on. Uncordon it to use it again.",
    danger: false,
  },
  uncordon: {
    word: "uncordon",
    label: "Uncordon",
    title: "Use this node again?",
    text: "It may get new tasks from now on. A bond it lost is put up again, from the credits of its owner.",
    danger: false,
  },
  drain: {
    word: "drain",
    label: "Drain",
    title: "Drain this node?",
    text: "It gets no new task, and what runs on it is placed on other nodes at once. It stays cordoned; it can be stopped then without losing work.",
    danger: false,
  },
  reject: {
    word: "reject",
    label: "Reject",
    title: "Reject this node?",
    text: "It is told to leave and may not return under this name. Its tasks go to other nodes.",
    danger: true,
  },
  remove: {
    word: "remove",
    label: "Remove",
    title: "Remove this node?",
    text: "Its registration ends, its tasks go to other nodes and its bond goes back to you. It can be registered again.",
    danger: true,
  },
};

/** Without its bond it gets no task. Where no bond is asked for, none is lost either. */
const lostBond = (node: Node): boolean => node.disputes > 0 && node.bond === 0 && node.status !== "rejected";

function Actions({ node, onDone }: { node: Node; onDone: () => void }) {
  const { client, user, isAdmin, say } = useApp();
  const [asked, setAsked] = useState<Change | null>(null);
  const action = useAction(async (change: Change) => {
    const path = `/nodes/${encodeURIComponent(node.node_id)}`;
    if (change.word === "remove") await client.write("DELETE", path);
    else await client.write("POST", `${path}/${change.word}`);
    say(`${node.node_id}: ${change.label.toLowerCase()} done`);
    setAsked(null);
    if (change.word === "remove") go("/nodes");
    else onDone();
  });
  if (!isAdmin && node.owner_id !== user.user_id) {
    return <p className="quiet">Only its owner or an administrator can change this node.</p>;
  }
  const unusable = node.cordoned || node.draining || lostBond(node);
  const gone = node.status === "rejected";
  const shown = gone ? ["remove"] : [unusable ? "uncordon" : "cordon", "drain", "reject", "remove"];
  return (
    <div className="buttons start">
      {shown.map((word) => {
        const change = changes[word];
        return (
          change && (
            <button
              key={word}
              type="button"
              className={change.danger ? "danger" : ""}
              data-change={word}
              onClick={() => {
                action.clear();
                setAsked(change);
              }}
            >
              {change.label}
            </button>
          )
        );
      })}
      {asked && (
        <Confirm
          title={asked.title}
          text={`${node.node_id}: ${asked.text}`}
          action={asked.label}
          danger={asked.danger}
          busy={action.busy}
          error={action.error}
          onYes={() => action.run(asked)}
          onNo={() => setAsked(null)}
        />
      )}
    </div>
  );
}

function About({ node }: { node: Node }) {
  const now = useNow();
  const joined = Boolean(node.public_key);
  return (
    <Panel title="About">
      <Facts
        rows={[
          ["Region", node.region],
          ["Type", words(node.node_type)],
          [joined ? "Said by the node" : "Said by its owner", `${number(node.capabilities.cpu_cores)} cores, ${number(node.capabilities.memory_gb, 1)} GB, ${node.capabilities.gpu_available ? "a GPU" : "no GPU"}`],
          ["Last seen", joined ? <span title={clock(node.last_seen)}>{ago(node.last_seen, now)}</span> : "never"],
          ["Registered", clock(node.registered_at)],
          ["Tasks now", number(node.active_tasks)],
          ["Runs", `${number(node.completed_tasks)} verified, ${number(node.failed_tasks)} failed, ${number(node.disputes)} disputed`],
          ["Bond", credits(node.bond)],
          ["Earned", credits(node.earned)],
          ["Key", joined ? <code title={node.public_key ?? ""}>{short(node.public_key, 16)}</code> : "none until it joins"],
        ]}
      />
    </Panel>
  );
}

export function NodePage({ id }: { id: string }) {
  const { data: node, error, reload } = useResource<Node>(`/nodes/${encodeURIComponent(id)}`, ["node"]);
  return (
    <>
      <div className="heading">
        <h1>{id}</h1>
        {node && <NodeState node={node} />}
      </div>
      <p>
        <a href="#/nodes">All nodes</a>
      </p>
      <Problem error={error} again={reload} />
      {!node && !error && <Waiting rows={6} />}
      {node && (
        <>
          <Actions node={node} onDone={reload} />
          {!node.public_key && (
            <Empty title="This node has not joined yet.">
              <p>Run the command that was shown when it was registered. If it is lost, remove this node and register it again.</p>
            </Empty>
          )}
          {lostBond(node) && (
            <div className="problem">
              <p className="what">This node lost its bond: a result it signed was proven wrong.</p>
              <p className="hint">It gets no new task. Uncordon puts up a new bond; reject sends it away.</p>
            </div>
          )}
          <div className="columns">
            <div className="stack">
              <HealthTerms health={node.health} />
              <Breakers breakers={node.health.breakers} />
            </div>
            <div className="stack">
              <ClaimedReadings claimed={node.health.claimed} />
              <About node={node} />
            </div>
          </div>
        </>
      )}
    </>
  );
}
