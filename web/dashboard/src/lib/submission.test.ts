import { expect, it } from "vitest";
import { moduleProblem, moduleBytesMax } from "../api/upload";
import { append, outputCharsMax, pieceOf } from "./output";
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
it("output is read from text and from base64, and put together by node", () => {
  expect(pieceOf({ node_id: "a", stream: "stderr", text: "hi" })).toEqual({ node: "a", stream: "stderr", text: "hi" });
  expect(pieceOf({ node_id: "a", data_base64: "aGk=" })).toEqual({ node: "a", stream: "stdout", text: "hi" });
  expect(pieceOf({ node_id: "a", data_base64: "%" })).toBeNull();
  expect(pieceOf({ node_id: "a" })).toBeNull();
  const piece = (node: string, text: string) => ({ node, stream: "stdout", text });
  const all = append(append(append([], piece("a", "1")), piece("b", "2")), piece("a", "3"));
  expect(all).toEqual([piece("a", "13"), piece("b", "2")]);
  expect(append(all, piece("a", "x".repeat(outputCharsMax)))[0]?.text).toHaveLength(outputCharsMax);
});
it("an address of the API is an origin or nothing", () => {
  expect(originOf(" ")).toBe("");
  expect(originOf("https://vcp.example.org:8443/")).toBe("https://vcp.example.org:8443");
  for (const bad of ["vcp.example.org", "ftp://a", "https://a/path", "https://u@a", "https://a?x", "javascript:alert(1)"]) {
    expect(originOf(bad)).toBeNull();
  }
});
