import { useEffect, useRef, useState, type FormEvent } from "react";
import { moduleProblem, uploadModule } from "../api/upload";
import type { Balance, KeptModule, TaskSubmission, VcpTask } from "../api/types";
import { bytes, credits, short } from "../lib/format";
import { go, useAction, useApp, useResource } from "../lib/hooks";
import { blankDraft, draftProblem, submissionOf, type TaskDraft } from "../lib/submission";
import { Field, Panel, Problem } from "../ui/parts";

type Set = (change: Partial<TaskDraft>) => void;

function Upload({ kept, onKept }: { kept: KeptModule | null; onKept: (kept: KeptModule | null) => void }) {
  const { client, say } = useApp();
  const [file, setFile] = useState<File | null>(null);
  const [problem, setProblem] = useState("");
  const [part, setPart] = useState(0);
  const action = useAction(async (chosen: File) => {
    setPart(0);
    onKept(await uploadModule(client, chosen, setPart));
    say("The module is uploaded");
  });
  const choose = async (chosen: File | undefined): Promise<void> => {
    onKept(null);
    action.clear();
    setFile(chosen ?? null);
    if (!chosen) return;
    const head = new Uint8Array(await chosen.slice(0, 4).arrayBuffer());
    const why = moduleProblem(chosen.size, head);
    setProblem(why);
    if (!why) action.run(chosen);
  };
  const state = kept
    ? `${bytes(kept.length)}, SHA-256 ${short(kept.sha256, 16)}`
    : action.busy
      ? part < 1
        ? `${Math.floor(part * 100)} % sent`
        : "sent; the coordinator keeps it"
      : "";
  return (
    <>
      <Field label="Module" hint="a .wasm file for WASI preview 1, at most 50 MB; it is sent as soon as you choose it" error={problem}>
        {(ids) => <input {...ids} type="file" accept=".wasm,application/wasm" onChange={(event) => void choose(event.target.files?.[0])} />}
      </Field>
      <div className="upload">
        <progress aria-label="Upload" max={1} value={kept ? 1 : part} />
        <span role="status">{state || (file ? "" : "no file chosen")}</span>
      </div>
      <Problem error={action.error} {...(file ? { again: () => action.run(file) } : {})} />
    </>
  );
}

function WasmFields({ draft, set }: { draft: TaskDraft; set: Set }) {
  return (
    <>
      <Field label="Arguments" hint="one per line">
        {(ids) => <textarea {...ids} rows={2} value={draft.args} spellCheck={false} onChange={(event) => set({ args: event.target.value })} />}
      </Field>
      <Field label="Input" hint="what the module reads from its standard input">
        {(ids) => <textarea {...ids} rows={4} value={draft.stdin} spellCheck={false} onChange={(event) => set({ stdin: event.target.value })} />}
      </Field>
      <div className="pair">
        <Field label="Fuel" hint="steps of one run, at most">
          {(ids) => <input {...ids} type="number" min={1} max={Number.MAX_SAFE_INTEGER} step={1} placeholder="10,000,000,000" value={draft.fuel} onChange={(event) => set({ fuel: event.target.value })} />}
        </Field>
        <Field label="Memory of the module, MB" hint="at most">
          {(ids) => <input {...ids} type="number" min={1} max={4096} step={1} placeholder="128" value={draft.memoryLimit} onChange={(event) => set({ memoryLimit: event.target.value })} />}
        </Field>
      </div>
    </>
  );
}

function ComputationFields({ draft, set }: { draft: TaskDraft; set: Set }) {
  return (
    <>
      <Field label="What to compute">
        {(ids) => (
          <select {...ids} value={draft.computation} onChange={(event) => set({ computation: event.target.value as TaskDraft["computation"] })}>
            <option value="expression">the value of an expression</option>
            <option value="json">something else, as JSON</option>
          </select>
        )}
      </Field>
      {draft.computation === "expression" ? (
        <Field label="Expression" hint="for example (2 + 3) * 7 / 4">
          {(ids) => <input {...ids} required spellCheck={false} value={draft.expression} onChange={(event) => set({ expression: event.target.value })} />}
        </Field>
      ) : (
        <Field label="Inputs, as JSON" hint='for example {"prompt": "words to count"}'>
          {(ids) => <textarea {...ids} rows={5} required spellCheck={false} value={draft.json} onChange={(event) => set({ json: event.target.value })} />}
        </Field>
      )}
    </>
  );
}

function Demands({ draft, set }: { draft: TaskDraft; set: Set }) {
  const figure = (label: string, name: "cores" | "memory" | "bandwidth" | "latency" | "health", hint: string, max: number) => (
    <Field label={label} hint={hint}>
      {(ids) => <input {...ids} type="number" min={0} max={max} step={name === "cores" ? 1 : "any"} placeholder="any" value={draft[name]} onChange={(event) => set({ [name]: event.target.value })} />}
    </Field>
  );
  return (
    <details>
      <summary>What a node must have</summary>
      <div className="pair">
        {figure("CPU cores", "cores", "at least", 256)}
        {figure("Memory, GB", "memory", "at least", 2048)}
        {figure("Bandwidth, Mbps", "bandwidth", "measured, at least", 100_000)}
        {figure("Latency, ms", "latency", "measured, at most", 60_000)}
        {figure("Health", "health", "of 100, at least", 100)}
        <Field label="Region" hint="only there">
          {(ids) => <input {...ids} maxLength={32} placeholder="any" value={draft.region} onChange={(event) => set({ region: event.target.value })} />}
        </Field>
        <Field label="Deadline" hint="your time; not done by then, it fails">
          {(ids) => <input {...ids} type="datetime-local" value={draft.deadline} onChange={(event) => set({ deadline: event.target.value })} />}
        </Field>
      </div>
      <label className="check">
        <input type="checkbox" checked={draft.gpu} onChange={(event) => set({ gpu: event.target.checked })} />
        A GPU
      </label>
    </details>
  );
}

function Terms({ draft, set }: { draft: TaskDraft; set: Set }) {
  const balance = useResource<Balance>("/credits");
  return (
    <div className="pair">
      <Field label="Quorum" hint="so many nodes run it, and are compared">
        {(ids) => <input {...ids} type="number" required min={1} max={1000} step={1} value={draft.quorum} onChange={(event) => set({ quorum: event.target.value })} />}
      </Field>
      <Field label="Time for one run, s" hint="at most">
        {(ids) => <input {...ids} type="number" required min={1} max={3600} step={1} value={draft.seconds} onChange={(event) => set({ seconds: event.target.value })} />}
      </Field>
      <Field label="Bid, credits" hint={balance.data ? `you have ${credits(balance.data.balance)}; what is not earned comes back` : "what is not earned comes back"}>
        {(ids) => <input {...ids} type="number" min={1} step={1} placeholder="what the coordinator asks" value={draft.bid} onChange={(event) => set({ bid: event.target.value })} />}
      </Field>
    </div>
  );
}

export function Submit() {
  const { client, say } = useApp();
  const [draft, setDraft] = useState(blankDraft);
  const [kept, setKept] = useState<KeptModule | null>(null);
  const key = useRef({ body: "", key: "" });
  const set: Set = (change) => setDraft((before) => ({ ...before, ...change }));
  const action = useAction(async (submission: TaskSubmission) => {
    // The same task sent again after a lost answer is one task.
    const body = JSON.stringify(submission);
    if (key.current.body !== body) key.current = { body, key: `task-${Date.now()}-${Math.random().toString(36).slice(2)}` };
    const headers = { "Idempotency-Key": key.current.key };
    const task = await client.write<VcpTask>("POST", "/tasks", submission, headers);
    say("The task is submitted");
    go(`/tasks/${task.task_id}`);
  });
  const [problem, setProblem] = useState("");
  useEffect(() => setProblem(""), [draft, kept]);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const why = draftProblem(draft, kept);
    setProblem(why);
    if (!why) action.run(submissionOf(draft, kept));
  };
  return (
    <>
      <h1>Submit a task</h1>
      <form onSubmit={submit} className="submit">
        <Panel title="Work">
          <fieldset className="choice">
            <legend>Type</legend>
            {(["wasm_execution", "computation"] as const).map((type) => (
              <label key={type} className="check">
                <input type="radio" name="type" checked={draft.type === type} onChange={() => set({ type })} />
                {type === "wasm_execution" ? "Run a WebAssembly module" : "Computation"}
              </label>
            ))}
          </fieldset>
          {draft.type === "wasm_execution" ? (
            <>
              <Upload kept={kept} onKept={setKept} />
              <WasmFields draft={draft} set={set} />
            </>
          ) : (
            <ComputationFields draft={draft} set={set} />
          )}
        </Panel>
        <Panel title="Terms">
          <Terms draft={draft} set={set} />
          <Demands draft={draft} set={set} />
        </Panel>
        {problem && (
          <div className="problem" role="alert">
            <p className="what">{problem}</p>
          </div>
        )}
        <Problem error={action.error} />
        <div className="buttons start">
          <button type="submit" className="primary" disabled={action.busy}>
            Submit
          </button>
          <a className="button" href="#/tasks">
            Cancel
          </a>
        </div>
      </form>
    </>
  );
}
