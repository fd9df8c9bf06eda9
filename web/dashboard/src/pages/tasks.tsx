import { useState } from "react";
import type { VcpTask } from "../api/types";
import { ago, credits, number, short, words } from "../lib/format";
import { useNow, useResource } from "../lib/hooks";
import { Badge, Empty, Panel, Problem, Table, Waiting } from "../ui/parts";
import { Filter, Pager, query, usePages } from "./nodes";

const statuses = ["pending", "running", "completed", "failed", "cancelled"];
const types = ["wasm_execution", "computation"];

/** Runs that ended well, of those asked for. */
export function progress(task: VcpTask): string {
  const done = task.runs.filter((run) => run.state === "verified").length;
  return `${number(done)} of ${number(task.requirements.min_nodes)} verified`;
}

export function Tasks() {
  const [filters, setFilters] = useState({ status: "", type: "" });
  const pages = usePages();
  const now = useNow(5000);
  const { data, error, next, reload } = useResource<VcpTask[]>(`/tasks?${query(filters, pages.after, 50)}`, ["task"]);
  const change = (one: Partial<typeof filters>): void => {
    setFilters({ ...filters, ...one });
    pages.start();
  };
  const filtered = Object.values(filters).some(Boolean);
  return (
    <>
      <div className="heading">
        <h1>Tasks</h1>
        <a className="button primary" href="#/tasks/new">
          Submit a task
        </a>
      </div>
      <div className="filters">
        <Filter label="Status" value={filters.status} options={statuses} onChange={(status) => change({ status })} />
        <Filter label="Type" value={filters.type} options={types} onChange={(type) => change({ type })} />
      </div>
      <Problem error={error} again={reload} />
      <Panel title="Your tasks" side={data && <span className="quiet">{number(data.length)} shown</span>}>
        {data === null && !error && <Waiting />}
        {data?.length === 0 &&
          (filtered ? (
            <Empty title="No task fits these filters.">
              <button type="button" onClick={() => change({ status: "", type: "" })}>
                Show all
              </button>
            </Empty>
          ) : (
            <Empty title="You have submitted no task.">
              <p>A task is a WebAssembly module with its input, or a computation the coordinator knows.</p>
              <a className="button" href="#/tasks/new">
                Submit a task
              </a>
            </Empty>
          ))}
        {data && data.length > 0 && (
          <Table
            name="Tasks"
            columns={["Task", "Type", "Status", "Stage", "Runs", "Paid", "Submitted"]}
            rows={data.map((task) => ({
              key: task.task_id,
              cells: [
                <a href={`#/tasks/${task.task_id}`} title={task.task_id}>
                  {short(task.task_id)}
                </a>,
                words(task.task_type),
                <Badge text={task.status} />,
                <span>
                  {task.stage}
                  {task.reason && <span className="quiet"> {task.reason}</span>}
                </span>,
                progress(task),
                credits(task.credits.paid),
                ago(task.created_at, now),
              ],
            }))}
          />
        )}
        <Pager pages={pages} next={next} />
      </Panel>
    </>
  );
}
