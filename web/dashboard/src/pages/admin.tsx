import { useState } from "react";
import { strategies, type AuditEntry, type Stats, type User } from "../api/types";
import { clock, number, short } from "../lib/format";
import { useAction, useApp, useResource } from "../lib/hooks";
import { Badge, Confirm, Empty, Field, Panel, Problem, Table, Waiting } from "../ui/parts";
import { Pager, query, usePages } from "./nodes";

const meanings: Record<string, string> = {
  weighted: "by chance, healthier and idler nodes more often",
  "round-robin": "one after the other",
  "least-loaded": "where the fewest tasks run",
  "latency-aware": "where the coordinator's messages arrive first",
};

function Strategy() {
  const { client, say } = useApp();
  const stats = useResource<Stats>("/cluster/stats");
  const action = useAction(async (strategy: string) => {
    await client.write("PUT", "/cluster/strategy", { strategy });
    say(`Strategy: ${strategy}`);
    stats.reload();
  });
  return (
    <Panel title="Strategy">
      <Field label="How nodes are chosen" hint={meanings[stats.data?.strategy ?? ""] ?? "\u00a0"}>
        {(ids) => (
          <select {...ids} disabled={!stats.data || action.busy} value={stats.data?.strategy ?? ""} onChange={(event) => action.run(event.target.value)}>
            {!stats.data && <option value="">…</option>}
            {strategies.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Problem error={action.error ?? stats.error} />
    </Panel>
  );
}

function Users() {
  const { client, user: me, say } = useApp();
  const pages = usePages();
  const { data, error, next, reload } = useResource<User[]>(`/admin/users?${query({}, pages.after, 50)}`);
  const [asked, setAsked] = useState<User | null>(null);
  const action = useAction(async (user: User) => {
    const role = user.role === "admin" ? "user" : "admin";
    await client.write("POST", `/admin/users/${user.user_id}/role`, { role });
    say(`${user.username} is ${role}`);
    setAsked(null);
    reload();
  });
  return (
    <Panel title="Users">
      <Problem error={error} again={reload} />
      {!data && !error && <Waiting />}
      {data && (
        <Table
          name="Users"
          columns={["User", "Role", "Since", "Last sign-in", "Change"]}
          rows={data.map((user) => ({
            key: user.user_id,
            cells: [
              <span title={user.user_id}>{user.username}</span>,
              <Badge text={user.role} tone={user.role === "admin" ? "busy" : "quiet"} />,
              user.created_at ? clock(user.created_at) : "unknown",
              user.last_login ? clock(user.last_login) : "never",
              user.user_id === me.user_id ? (
                <span className="quiet">you</span>
              ) : (
                <button type="button" className="small" onClick={() => setAsked(user)}>
                  {user.role === "admin" ? "Make a user" : "Make an admin"}
                </button>
              ),
            ],
          }))}
        />
      )}
      <Pager pages={pages} next={next} />
      {asked && (
        <Confirm
          title={`Change the role of ${asked.username}?`}
          text={asked.role === "admin" ? "They lose the pages and rights of an administrator." : "They may do everything: nodes, tasks and roles of everybody."}
          action={asked.role === "admin" ? "Make a user" : "Make an admin"}
          busy={action.busy}
          error={action.error}
          onYes={() => action.run(asked)}
          onNo={() => setAsked(null)}
        />
      )}
    </Panel>
  );
}

function Audit() {
  const pages = usePages();
  const { data, error, next, reload } = useResource<AuditEntry[]>(`/admin/audit-log?${query({}, pages.after, 50)}`);
  return (
    <Panel title="Audit log">
      <Problem error={error} again={reload} />
      {!data && !error && <Waiting />}
      {data?.length === 0 && <Empty title="Nothing was written yet." />}
      {data && data.length > 0 && (
        <Table
          name="Audit log"
          columns={["When", "Who", "What", "About", "From", "Status"]}
          rows={data.map((entry) => ({
            key: String(entry.id),
            cells: [
              clock(entry.at),
              entry.user_id ? <span title={entry.user_id}>{short(entry.user_id)}</span> : "nobody",
              <span>
                {entry.action}
                {entry.message && <span className="reason">{entry.message}</span>}
              </span>,
              <span title={entry.resource}>{short(entry.resource, 18)}</span>,
              entry.address,
              <Badge text={number(entry.status)} tone={entry.status >= 400 ? "bad" : "good"} />,
            ],
          }))}
        />
      )}
      <Pager pages={pages} next={next} />
    </Panel>
  );
}

export function Admin() {
  return (
    <>
      <h1>Admin</h1>
      <Strategy />
      <Users />
      <Audit />
    </>
  );
}
