import { useEffect, useState } from "react";
import { follow } from "../api/sse";
import { finalStates, type Run, type RunReceipt, type VcpTask } from "../api/types";
import { base64Text, clock, credits, duration, energy, milliseconds, number, short, words } from "../lib/format";
import { useAction, useApp, useResource, watchedGapMs } from "../lib/hooks";
import { read } from "../lib/live";
import { OutputLog, type Printed } from "../lib/output";
import { Badge, Confirm, download, Empty, Facts, Panel, Problem, Table, Waiting } from "../ui/parts";

const steps = ["waiting for nodes", "running", "comparing", "re-running", "done"];

/** Where it stands, of the stages every task can pass. */
function Stages({ task }: { task: VcpTask }) {
  const at = steps.indexOf(task.stage);
  const shown = steps.filter(
    (step) => (step !== "re-running" || task.stage === step) && (step !== "comparing" || task.requirements.min_nodes > 1),
  );
  return (
    <ol className="stages" aria-label="Stages">
      {shown.map((step) => {
        const index = steps.indexOf(step);
        const state = index < at || task.stage === "done" ? "past" : index === at ? "now" : "ahead";
        return (
          <li key={step} className={state} aria-current={state === "now" ? "step" : undefined}>
            {step === "done" && finalStates.includes(task.status) ? task.status : step}
          </li>
        );
      })}
    </ol>
  );
}

function Runs({ runs }: { runs: readonly Run[] }) {
  if (runs.length === 0) {
    return (
      <Empty title="No node has it yet.">
        <p>It is placed as soon as a node fits its requirements.</p>
      </Empty>
    );
  }
  const took = (run: Run): string => {
    const [from, to] = [milliseconds(run.assigned_at), milliseconds(run.ended_at)];
    return from !== null && to !== null ? duration(to - from) : "–";
  };
  return (
    <Table
      name="Runs"
      columns={["Node", "State", "Run", "Took", "Result", "Fuel", "Claimed", "Receipt", "Paid"]}
      rows={runs.map((run) => ({
        key: `${run.node_id}/${run.attempt}/${run.job_id}/${run.assigned_at}`,
        cells: [
          <a href={`#/nodes/${encodeURIComponent(run.node_id)}`}>{run.node_id}</a>,
          <span>
            <Badge text={run.state} />
            {run.reason && <span className="reason">{run.reason}</span>}
          </span>,
          number(run.attempt),
          <span className="whole">{took(run)}</span>,
          run.output_commitment ? <code title={run.output_commitment}>{short(run.output_commitment, 10)}</code> : "–",
          run.fuel === null ? "–" : number(run.fuel),
          <span className="quiet">
            {run.claimed.wall_ms === null ? "time unknown" : duration(run.claimed.wall_ms)},{" "}
            {run.claimed.energy_joules === null ? "energy unknown" : energy(run.claimed.energy_joules)}
          </span>,
          run.receipt_verified === null ? "none yet" : run.receipt_verified ? <Badge text="valid" tone="good" /> : <Badge text="refused" tone="bad" />,
          credits(run.paid),
        ],
      }))}
    />
  );
}

/** What its runs print, while they do. */
function useOutput(id: string, wanted: boolean): readonly Printed[] {
  const { client } = useApp();
  const [pieces, setPieces] = useState<readonly Printed[]>([]);
  useEffect(() => {
    if (!wanted) return undefined;
    setPieces([]);
    const log = new OutputLog();
    return follow({
      open: (lastId, signal) =>
        client.raw("GET", `/tasks/${id}/events`, {
          signal,
          headers: { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) },
        }),
      onState: () => undefined,
      onEvent: (event) => {
        if (event.name !== "output") return;
        if (log.take(read(event, Date.now()).json)) setPieces(log.printed);
      },
      endsItself: true,
    });
  }, [client, id, wanted]);
  return pieces;
}

function Output({ task }: { task: VcpTask }) {
  const over = finalStates.includes(task.status);
  const pieces = useOutput(task.task_id, !over);
  const { result } = task;
  return (
    <Panel title="Output" side={!over && <Badge text="live" tone="busy" />}>
      {!result && pieces.length === 0 && (
        <p className="quiet">{over ? "No node produced a result that was accepted." : "Nothing was printed yet."}</p>
      )}
      {!result &&
        pieces.map((piece) => (
          <div key={`${piece.node}/${piece.attempt}/${piece.stream}`}>
            <p className="quiet">
              {piece.node}
              {piece.attempt > 1 && `, run ${piece.attempt}`}, {piece.stream}
            </p>
            <pre tabIndex={0} aria-label={`${piece.stream} of ${piece.node}`} data-output={piece.node}>
              {piece.text}
            </pre>
          </div>
        ))}
      {result && (
        <>
          <Facts
            rows={[
              ["Exit code", result.exit_code === undefined ? "unknown" : String(result.exit_code)],
              ["Agreed by", result.agreed_by?.join(", ") || "nobody"],
              ["Output SHA-256", <code className="long">{result.output_sha256 ?? "unknown"}</code>],
            ]}
          />
          {result.output_truncated && <p className="hint">The output is longer than what is kept.</p>}
          {result.stdout ? (
            <pre tabIndex={0} aria-label="stdout" data-output="result">
              {result.stdout}
            </pre>
          ) : (
            <p className="quiet">{result.stdout_base64 ? "The output is not text." : "It printed nothing."}</p>
          )}
          {result.stderr && (
            <pre tabIndex={0} className="stderr" aria-label="stderr">
              {result.stderr}
            </pre>
          )}
          {result.stdout_base64 && (
            <button type="button" onClick={() => download(`${task.task_id}.out`, base64Text(result.stdout_base64 ?? ""))}>
              Download the output
            </button>
          )}
        </>
      )}
    </Panel>
  );
}

function Receipts({ task }: { task: VcpTask }) {
  const some = task.runs.some((run) => run.receipt_verified !== null);
  const { data, error, reload } = useResource<RunReceipt[]>(some ? `/tasks/${task.task_id}/receipts` : null, ["run"]);
  const save = (one: RunReceipt, kind: "manifest" | "receipt"): void =>
    download(`${task.task_id}.${one.node_id}.${kind}.cose`, base64Text(one[kind]));
  return (
    <Panel title="Receipts">
      <Problem error={error} again={reload} />
      {!data?.length && !error && <p className="quiet">A node signs a receipt when its run ends.</p>}
      {data && data.length > 0 && (
        <Table
          name="Receipts"
          columns={["Node", "Verdict", "Files"]}
          rows={data.map((one, at) => ({
            key: `${one.node_id}/${at}`,
            cells: [
              one.node_id,
              one.verdict === "verified" ? <Badge text="verified" /> : <span className="reason">{one.verdict}</span>,
              <span className="buttons start">
                <button type="button" className="small" disabled={!one.receipt} aria-label={`Download the receipt of ${one.node_id}`} onClick={() => save(one, "receipt")}>
                  Receipt
                </button>
                <button type="button" className="small" disabled={!one.manifest} aria-label={`Download the manifest of ${one.node_id}`} onClick={() => save(one, "manifest")}>
                  Manifest
                </button>
              </span>,
            ],
          }))}
        />
      )}
      <p className="hint">
        Check them on your own machine: <code>phase verify</code>.
      </p>
    </Panel>
  );
}

function Cancel({ task, onDone }: { task: VcpTask; onDone: () => void }) {
  const { client, say } = useApp();
  const [asked, setAsked] = useState(false);
  const action = useAction(async () => {
    await client.write("DELETE", `/tasks/${task.task_id}`);
    say("The task is cancelled");
    setAsked(false);
    onDone();
  });
  if (finalStates.includes(task.status)) return null;
  return (
    <>
      <button type="button" className="danger" onClick={() => setAsked(true)}>
        Cancel the task
      </button>
      {asked && (
        <Confirm
          title="Cancel this task?"
          text="Its runs are stopped. What verified runs earned is paid, the rest of the bid comes back."
          action="Cancel the task"
          danger
          busy={action.busy}
          error={action.error}
          onYes={() => action.run()}
          onNo={() => setAsked(false)}
        />
      )}
    </>
  );
}

function Agreement({ task }: { task: VcpTask }) {
  const { requirements: asked, credits: moved } = task;
  const demands = [
    asked.require_gpu && "a GPU",
    asked.cpu_cores && `${asked.cpu_cores} cores`,
    asked.memory_gb && `${asked.memory_gb} GB`,
    asked.min_bandwidth_mbps && `${asked.min_bandwidth_mbps} Mbps`,
    asked.max_latency_ms && `at most ${asked.max_latency_ms} ms away`,
    asked.min_health_score && `health ${asked.min_health_score * 100} or more`,
    asked.region && `in ${asked.region}`,
  ].filter(Boolean);
  return (
    <Panel title="Agreement">
      <Facts
        rows={[
          ["Quorum", number(asked.min_nodes)],
          ["Time for one run", `${number(asked.max_execution_time_sec)} s`],
          ["A node must have", demands.join(", ") || "nothing in particular"],
          ["Deadline", asked.deadline ? clock(asked.deadline) : "none"],
          ["In escrow at submission", credits(moved.escrowed)],
          ["Paid to nodes", credits(moved.paid)],
          ["Came back", credits(moved.refunded)],
          ["Submitted", clock(task.created_at)],
          ["Last change", clock(task.updated_at)],
        ]}
      />
    </Panel>
  );
}

export function TaskPage({ id }: { id: string }) {
  const { data: task, error, reload } = useResource<VcpTask>(`/tasks/${encodeURIComponent(id)}`, ["task", "run"], watchedGapMs);
  return (
    <>
      <div className="heading">
        <h1>
          {task ? words(task.task_type) : "Task"} <code title={id}>{short(id)}</code>
        </h1>
        {task && <Badge text={task.status} />}
        {task && <Cancel task={task} onDone={reload} />}
      </div>
      <p>
        <a href="#/tasks">All tasks</a>
      </p>
      <Problem error={error} again={reload} />
      {!task && !error && <Waiting rows={6} />}
      {task && (
        <>
          <div role="status">
            <Stages task={task} />
            {task.reason && <p className="reason">{task.reason}</p>}
          </div>
          <Panel title="Runs">
            <Runs runs={task.runs} />
          </Panel>
          <div className="columns">
            <Output task={task} />
            <div className="stack">
              <Receipts task={task} />
              <Agreement task={task} />
            </div>
          </div>
        </>
      )}
    </>
  );
}
