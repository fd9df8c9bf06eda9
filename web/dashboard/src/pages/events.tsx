import { useState, useSyncExternalStore } from "react";
import { clock, short } from "../lib/format";
import { useApp, useIsLive } from "../lib/hooks";
import { eventsShownMax, type Happening } from "../lib/live";
import { Badge, Empty, Panel } from "../ui/parts";
import { Filter } from "./nodes";

const names = ["node", "task", "run", "output", "ledger"];

function about(event: Happening): { text: string; link: string | null } {
  const said = (name: string): string => (typeof event.json[name] === "string" ? (event.json[name] as string) : "");
  const task = said("task_id");
  const node = said("node_id");
  if (event.name === "node" && node) return { text: node, link: `#/nodes/${encodeURIComponent(node)}` };
  if (task) return { text: node ? `${short(task)} on ${node}` : short(task), link: `#/tasks/${task}` };
  return { text: node || said("reference"), link: null };
}
const state = (event: Happening): string => {
  const found = [event.json["state"], event.json["status"], event.json["kind"]].find((one) => typeof one === "string");
  return typeof found === "string" ? found : "";
};

export function Events() {
  const { live } = useApp();
  const isLive = useIsLive();
  const recent = useSyncExternalStore(live.watch, () => live.recent);
  const [name, setName] = useState("");
  const [held, setHeld] = useState<readonly Happening[] | null>(null);
  const shown = (held ?? recent).filter((event) => !name || event.name === name);
  return (
    <>
      <div className="heading">
        <h1>Events</h1>
        <button type="button" aria-pressed={held !== null} onClick={() => setHeld(held ? null : recent)}>
          {held ? "Go on" : "Hold"}
        </button>
      </div>
      <div className="filters">
        <Filter label="Kind" value={name} options={names} onChange={setName} />
      </div>
      <Panel title="What happens" side={<Badge text={isLive ? "live" : "not live"} tone={isLive ? "good" : "fair"} />}>
        {shown.length === 0 && (
          <Empty title={isLive ? "Nothing happened since you came." : "No event stream at the moment."}>
            <p>{isLive ? "Events appear here as they happen." : "It is joined again by itself; meanwhile pages ask every 5 s."}</p>
          </Empty>
        )}
        <ol className="events" role="log" aria-label="Events" aria-live="off">
          {shown.map((event, at) => {
            const { text, link } = about(event);
            return (
              <li key={`${event.id}/${event.seen}/${shown.length - at}`}>
                <time>{clock(event.seen).slice(11)}</time>
                <Badge text={event.name} tone="quiet" />
                <span>{link ? <a href={link}>{text}</a> : text}</span>
                <span>{state(event) && <Badge text={state(event)} />}</span>
                <details>
                  <summary>details</summary>
                  <pre>{event.data}</pre>
                </details>
              </li>
            );
          })}
        </ol>
        <p className="hint">The last {eventsShownMax} since this page was opened.</p>
      </Panel>
    </>
  );
}
