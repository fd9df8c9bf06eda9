import type { SeriesPoint, Stats, VcpTask } from "../api/types";
import { growth } from "../lib/chart";
import { ago, credits, energy, number, short, withUnit, words } from "../lib/format";
import { useApp, useNow, useResource } from "../lib/hooks";
import { Chart } from "../ui/chart";
import { Badge, Empty, Panel, Problem, Stat, Table, Waiting } from "../ui/parts";

function Cards({ stats }: { stats: Stats | null }) {
  const failed = stats ? `${number(stats.failed_tasks)} failed` : null;
  return (
    <dl className="stats">
      <Stat
        name="Healthy nodes"
        value={stats ? `${number(stats.healthy_nodes)} of ${number(stats.total_nodes)}` : null}
        note="online, health 70 or more"
      />
      <Stat name="Average health" value={stats ? number(stats.avg_health_score, 1) : null} note="of 100" />
      <Stat
        name="Tasks now"
        value={stats ? `${number(stats.running_tasks)} running` : null}
        note={stats ? `${number(stats.pending_tasks)} waiting` : null}
      />
      <Stat name="Tasks completed" value={stats ? number(stats.completed_tasks) : null} note={failed} />
      <Stat
        name="Capacity"
        value={stats ? number(stats.total_compute_capacity) : null}
        note="cores × GB of all nodes"
      />
      <Stat name="Energy" value={stats ? energy(stats.energy_joules) : null} note="claimed by the nodes" />
    </dl>
  );
}

export function Charts({ points }: { points: readonly SeriesPoint[] }) {
  const at = points.map((point) => point.at);
  const later = at.slice(1);
  const of = (pick: (point: SeriesPoint) => number): number[] => points.map(pick);
  /** Nothing at all while no node says it: unknown is not 0. */
  const said = (pick: (point: SeriesPoint) => number | null): number[] =>
    points.some((point) => pick(point) !== null) ? points.map((point) => pick(point) ?? 0) : [];
  return (
    <div className="charts">
      <Chart
        title="Average health"
        at={at}
        max={100}
        show={(value) => number(value, 1)}
        series={[{ name: "health", values: of((point) => point.avg_health_score) }]}
      />
      <Chart
        title="Nodes online"
        at={at}
        show={(value) => number(value, 1)}
        series={[{ name: "nodes", values: of((point) => point.nodes_online) }]}
      />
      <Chart
        title="Tasks"
        at={later}
        show={(value) => number(value, 1)}
        series={[
          { name: "completed", values: growth(of((point) => point.tasks_completed)) },
          { name: "failed", values: growth(of((point) => point.tasks_failed)), className: "two" },
        ]}
      />
      <Chart
        title="Power, claimed"
        at={at}
        show={(value) => withUnit(value, "W")}
        series={[{ name: "power", values: said((point) => point.power_watts) }]}
      />
      <Chart
        title="Energy, claimed"
        at={at}
        show={energy}
        series={[{ name: "energy", values: said((point) => point.energy_joules) }]}
      />
      <Chart
        title="Credits paid"
        at={at}
        show={credits}
        series={[{ name: "credits", values: of((point) => point.credits_paid) }]}
      />
    </div>
  );
}

export function Overview() {
  const { isAdmin } = useApp();
  const stats = useResource<Stats>("/cluster/stats", ["node", "task"]);
  const series = useResource<SeriesPoint[]>("/cluster/series");
  const tasks = useResource<VcpTask[]>("/tasks?limit=5", ["task"]);
  const now = useNow(5000);
  const none = stats.data !== null && stats.data.total_nodes === 0;
  return (
    <>
      <h1>Overview</h1>
      <Problem error={stats.error} again={stats.reload} />
      <Cards stats={stats.data} />
      {none && (
        <Empty title="No node has joined yet.">
          <p>A node runs the tasks. Registering one gives a command for the machine that shall be it.</p>
          <a className="button primary" href="#/nodes">
            Register a node
          </a>
        </Empty>
      )}
      <Panel
        title="Course of the cluster"
        side={
          stats.data && (
            <span className="quiet">
              strategy: <b>{stats.data.strategy}</b> {isAdmin && <a href="#/admin">change</a>}
            </span>
          )
        }
      >
        <Problem error={series.error} again={series.reload} />
        <Charts points={series.data ?? []} />
      </Panel>
      <Panel title="Latest tasks" side={<a href="#/tasks">All tasks</a>}>
        <Problem error={tasks.error} again={tasks.reload} />
        {tasks.data === null && !tasks.error && <Waiting rows={2} />}
        {tasks.data?.length === 0 && (
          <Empty title="You have submitted no task.">
            <a className="button" href="#/tasks/new">
              Submit a task
            </a>
          </Empty>
        )}
        {tasks.data && tasks.data.length > 0 && (
          <Table
            name="Latest tasks"
            columns={["Task", "Type", "Status", "Stage", "Submitted"]}
            rows={tasks.data.slice(0, 5).map((task) => ({
              key: task.task_id,
              cells: [
                <a href={`#/tasks/${task.task_id}`} title={task.task_id}>
                  {short(task.task_id)}
                </a>,
                words(task.task_type),
                <Badge text={task.status} />,
                task.stage,
                ago(task.created_at, now),
              ],
            }))}
          />
        )}
      </Panel>
    </>
  );
}
