// What the coordinator answers (prefix /api/v1). `null` is "not known", never zero.

export interface Term {
  value: number | null;
  unit: string;
  score: number; // 0 … 1
  evidence: string;
  age_ms: number | null;
}
export interface Breaker {
  name: string;
  state: string; // closed, open, half_open
  detail: string;
}
export interface Claimed {
  cpu_percent: number | null;
  memory_percent: number | null;
  temperature_c: number | null;
  power_watts: number | null;
  gpu_percent: number | null;
  energy_joules: number | null;
}
export interface Health {
  score: number; // 0 … 100
  bandwidth: Term;
  latency: Term;
  compute: Term;
  reputation: Term;
  breakers: Breaker[];
  claimed: Claimed;
}
export interface Capabilities {
  bandwidth_mbps: number;
  cpu_cores: number;
  memory_gb: number;
  gpu_available: boolean;
}
export interface Node {
  node_id: string;
  region: string;
  node_type: string;
  owner_id: string | null;
  capabilities: Capabilities;
  health_score: number;
  status: string; // online, offline, rejected
  registered_at: string;
  last_seen: string | null;
  health: Health;
  public_key: string | null; // null until it joined
  cordoned: boolean;
  draining: boolean;
  active_tasks: number;
  completed_tasks: number;
  failed_tasks: number;
  disputes: number;
  bond: number;
  earned: number;
}
export interface RegisteredNode extends Node {
  join_token: string;
  join_command: string;
}
export interface NodeRegistration {
  node_id: string;
  region: string;
  node_type: string;
  capabilities: Capabilities;
  observability_port?: number;
}

export interface Requirements {
  min_nodes: number;
  max_execution_time_sec: number;
  require_gpu: boolean;
  require_proof: boolean;
  min_health_score?: number;
  min_bandwidth_mbps?: number;
  max_latency_ms?: number;
  cpu_cores?: number;
  memory_gb?: number;
  region?: string | null;
  allow_peers?: boolean;
  deadline?: string | null;
}
export interface TaskSubmission {
  task_type: string;
  module_sha256?: string;
  inputs: unknown;
  requirements: Requirements;
  bid?: number;
}
export interface Run {
  node_id: string;
  state: string;
  attempt: number;
  assigned_at: string;
  ended_at: string | null;
  reason: string | null;
  output_commitment: string | null;
  fuel: number | null;
  claimed: { wall_ms: number | null; energy_joules: number | null };
  job_id: string | null;
  receipt_verified: boolean | null;
  paid: number;
}
export interface TaskResult {
  exit_code?: number;
  stdout?: string | null;
  stdout_base64?: string;
  stderr?: string | null;
  value?: unknown;
  output_sha256?: string | null;
  agreed_by?: string[];
  output_truncated?: boolean;
}
export interface VcpTask {
  task_id: string;
  task_type: string;
  status: string; // pending, running, completed, failed, cancelled
  stage: string;
  reason: string | null;
  owner_id: string | null;
  requirements: Requirements;
  assigned_nodes: string[];
  created_at: string;
  updated_at: string;
  result: TaskResult | null;
  runs: Run[];
  credits: { escrowed: number; paid: number; refunded: number };
}
export interface RunReceipt {
  node_id: string;
  manifest: string; // base64
  receipt: string; // base64
  verdict: string;
}
export interface KeptModule {
  sha256: string;
  artifact_id: string;
  length: number;
}

export interface Stats {
  total_nodes: number;
  healthy_nodes: number;
  total_tasks: number;
  completed_tasks: number;
  failed_tasks: number;
  running_tasks: number;
  pending_tasks: number;
  avg_health_score: number;
  total_compute_capacity: number;
  strategy: string;
  energy_joules: number | null;
}
export interface SeriesPoint {
  at: string;
  nodes_online: number;
  tasks_completed: number;
  tasks_failed: number;
  avg_health_score: number;
  power_watts: number | null;
  energy_joules: number | null;
  credits_paid: number;
}
export interface MeshAddress {
  peer_id: string;
  addresses: string[];
}

export interface User {
  user_id: string;
  username: string;
  role: string;
  email?: string | null;
  created_at?: string;
  last_login?: string | null;
}
export interface ApiKey {
  key_id: string;
  prefix: string;
  name: string;
  scopes: string[];
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}
export interface AuditEntry {
  id: number;
  at: string;
  user_id: string | null;
  action: string;
  resource: string;
  address: string;
  status: number;
  message: string;
}
export interface Balance {
  account: string;
  balance: number;
}
export interface LedgerEntry {
  sequence: number;
  at: string | number;
  kind: string;
  from: string;
  to: string;
  amount: number;
  reference: string;
  previous: string;
  hash: string;
}

export const nodeTypes = [
  "compute",
  "gateway",
  "storage",
  "validator",
  "open_internet",
  "any",
  "feen_resonator",
] as const;
export const strategies = ["weighted", "round-robin", "least-loaded", "latency-aware"] as const;
export const scopes = ["tasks:read", "tasks:write", "nodes:read", "nodes:write", "admin"] as const;
export const finalStates = ["completed", "failed", "cancelled"];
