// From what a person typed to what the coordinator takes.

import type { KeptModule, Requirements, TaskSubmission } from "../api/types";

export interface TaskDraft {
  type: "wasm_execution" | "computation";
  args: string; // one per line
  stdin: string;
  fuel: string;
  memoryLimit: string; // MB
  computation: "expression" | "json";
  expression: string;
  json: string;
  quorum: string;
  seconds: string;
  bid: string;
  cores: string;
  memory: string;
  bandwidth: string;
  latency: string;
  health: string; // 0 … 100
  region: string;
  deadline: string; // as an input of kind datetime-local gives it: local time
  gpu: boolean;
}
export const blankDraft: TaskDraft = {
  type: "wasm_execution",
  args: "",
  stdin: "",
  fuel: "",
  memoryLimit: "",
  computation: "expression",
  expression: "",
  json: "",
  quorum: "1",
  seconds: "60",
  bid: "",
  cores: "",
  memory: "",
  bandwidth: "",
  latency: "",
  health: "",
  region: "",
  deadline: "",
  gpu: false,
};

function objectOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** What is missing before it can be sent; empty when nothing is. */
export function draftProblem(draft: TaskDraft, kept: KeptModule | null): string {
  if (draft.type === "wasm_execution" && !kept) return "Choose a module and wait until it is sent.";
  if (draft.type === "computation" && draft.computation === "json" && !objectOf(draft.json)) {
    return 'The inputs are not a JSON object. It begins with { and its names are in quotes, {"a": 1}.';
  }
  if (draft.deadline && !(Date.parse(draft.deadline) > Date.now())) return "The deadline is over already.";
  return "";
}

function requirementsOf(draft: TaskDraft): Requirements {
  const out: Requirements = {
    min_nodes: Number(draft.quorum),
    max_execution_time_sec: Number(draft.seconds),
    require_gpu: draft.gpu,
    require_proof: false,
  };
  if (draft.health) out.min_health_score = Number(draft.health) / 100;
  if (draft.bandwidth) out.min_bandwidth_mbps = Number(draft.bandwidth);
  if (draft.latency) out.max_latency_ms = Number(draft.latency);
  if (draft.cores) out.cpu_cores = Number(draft.cores);
  if (draft.memory) out.memory_gb = Number(draft.memory);
  if (draft.region.trim()) out.region = draft.region.trim();
  if (draft.deadline) out.deadline = new Date(draft.deadline).toISOString();
  return out;
}

function wasmInputs(draft: TaskDraft): Record<string, unknown> {
  const args = draft.args.split("\n").map((line) => line.replace(/\r$/, ""));
  while (args.length && args[args.length - 1] === "") args.pop();
  const limits = {
    ...(draft.fuel ? { fuel: Number(draft.fuel) } : {}),
    ...(draft.memoryLimit ? { memory_mb: Number(draft.memoryLimit) } : {}),
  };
  return {
    ...(args.length ? { args } : {}),
    stdin: draft.stdin,
    ...(Object.keys(limits).length ? { limits } : {}),
  };
}

export function submissionOf(draft: TaskDraft, kept: KeptModule | null): TaskSubmission {
  const common = {
    requirements: requirementsOf(draft),
    ...(draft.bid ? { bid: Number(draft.bid) } : {}),
  };
  if (draft.type === "wasm_execution") {
    return {
      task_type: draft.type,
      ...(kept ? { module_sha256: kept.sha256 } : {}),
      inputs: wasmInputs(draft),
      ...common,
    };
  }
  const inputs =
    draft.computation === "expression" ? { expression: draft.expression } : objectOf(draft.json);
  return { task_type: draft.type, inputs, ...common };
}
