import { expect, it } from "vitest";
import { moduleProblem, moduleBytesMax } from "../api/upload";
import { OutputLog, outputCharsMax } from "./output";
import { originOf } from "./settings";
import { blankDraft, draftProblem, submissionOf } from "./submission";

const kept = { sha256: "ab", artifact_id: "x", length: 8 };

it("a draft becomes a task with what was said and nothing else", () => {
  const draft = { ...blankDraft, args: "--fast\n\nlast\n\n", stdin: "in\n", quorum: "3", bid: "50", health: "70", region: " eu " };
  expect(submissionOf(draft, kept)).toEqual({
    task_type: "wasm_execution",
    module_sha256: "ab",
    inputs: { args: ["--fast", "", "last"], stdin: "in\n" },
    bid: 50,
    requirements: {
      min_nodes: 3,
      max_execution_time_sec: 60,
      require_gpu: false,
      require_proof: false,
      min_health_score: 0.7,
      region: "eu",
    },
  });
});
it("limits are sent when they are set", () => {
  const draft = { ...blankDraft, fuel: "500", memoryLimit: "64" };
  expect(submissionOf(draft, kept).inputs).toEqual({ stdin: "", limits: { fuel: 500, memory_mb: 64 } });
});
it("a computation is sent without a module", () => {
  const draft = { ...blankDraft, type: "computation" as const, expression: "1+1" };
  expect(submissionOf(draft, kept)).toMatchObject({ task_type: "computation", inputs: { expression: "1+1" } });
  expect(submissionOf(draft, kept)).not.toHaveProperty("module_sha256");
  expect(submissionOf({ ...draft, computation: "json", json: '{"a": 1}' }, null).inputs).toEqual({ a: 1 });
});
it("what is missing is said before anything is sent", () => {
  expect(draftProblem(blankDraft, null)).toMatch(/module/);
  expect(draftProblem(blankDraft, kept)).toBe("");
  expect(draftProblem({ ...blankDraft, deadline: "2001-01-01T00:00" }, kept)).toMatch(/over/);
  const asJson = { ...blankDraft, type: "computation" as const, computation: "json" as const };
  for (const json of ["", "[1]", "null", "{", "7"]) expect(draftProblem({ ...asJson, json }, null)).toMatch(/JSON object/);
  expect(draftProblem({ ...asJson, json: "{}" }, null)).toBe("");
});
it("files that cannot be modules are not sent", () => {
  const head = Uint8Array.of(0, 0x61, 0x73, 0x6d);
  expect(moduleProblem(8, head)).toBe("");
  expect(moduleProblem(moduleBytesMax, head)).toBe("");
  expect(moduleProblem(moduleBytesMax + 1, head)).toMatch(/50 MB/);
  expect(moduleProblem(0, new Uint8Array())).toMatch(/empty/);
  expect(moduleProblem(9, Uint8Array.of(0x7f, 0x45, 0x4c, 0x46))).toMatch(/WebAssembly/);
  expect(moduleProblem(2, Uint8Array.of(0, 0x61))).toMatch(/WebAssembly/);
});
it("output is put together by node, attempt and stream, also where letters are cut in two", () => {
  const log = new OutputLog();
  const bytes = [...new TextEncoder().encode("naïve ✓")];
  const event = (part: number[], stream = 1, attempt = 1) => ({ node_id: "a", attempt, stream, data: btoa(String.fromCharCode(...part)) });
  for (const byte of bytes) expect(log.take(event([byte]))).toBe(true);
  expect(log.take(event([104, 105], 2))).toBe(true);
  expect(log.take(event([33], 1, 2))).toBe(true);
  expect(log.printed).toEqual([
    { node: "a", attempt: 1, stream: "stdout", text: "naïve ✓" },
    { node: "a", attempt: 1, stream: "stderr", text: "hi" },
    { node: "a", attempt: 2, stream: "stdout", text: "!" },
  ]);
  for (const bad of [{}, { ...event([1]), data: "%" }, { ...event([1]), stream: 9 }, { ...event([1]), node_id: 3 }]) {
    expect(log.take(bad)).toBe(false);
  }
  for (let at = 0; at < 5; at += 1) log.take(event(Array(outputCharsMax / 4).fill(120), 2));
  expect(log.printed[1]?.text).toHaveLength(outputCharsMax);
});
it("an address of the API is an origin or nothing", () => {
  expect(originOf(" ")).toBe("");
  expect(originOf("https://vcp.example.org:8443/")).toBe("https://vcp.example.org:8443");
  for (const bad of ["vcp.example.org", "ftp://a", "https://a/path", "https://u@a", "https://a?x", "javascript:alert(1)"]) {
    expect(originOf(bad)).toBeNull();
  }
});
