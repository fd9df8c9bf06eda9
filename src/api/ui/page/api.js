// Requests to the node that sent this page. An API key is asked for once, when the node wants one,
// and stays in this variable.

import {ask, element} from "/ui/dom.js";

// One line of a stream; longer ones are not believed.
const LINE_MAX = 16 * 1024 * 1024;

let key = "";
let asking = null;

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// {"error": "text"} of Ollama's API, {"error": {"message", "hint"}} of the node's own.
async function problem(response) {
  let text = `${response.status} ${response.statusText}`.trim();
  try {
    const {error} = await response.json();
    if (typeof error === "string") text = error;
    else if (error?.message) text = [error.message, error.hint].filter(Boolean).join(" — ");
  } catch {
    // No JSON: the status says what there is to say.
  }
  return new ApiError(text, response.status);
}

// All requests that wait for the key wait for one question.
function askForKey() {
  asking ??= ask("This node wants an API key", "It is kept in this page's memory only.",
                 {yes: "Continue", secret: true}).finally(() => { asking = null; });
  return asking;
}

export async function request(path, {method = "GET", body, headers = {}, signal} = {}) {
  for (;;) {
    const used = key;
    const all = {...headers};
    if (used) all.Authorization = `Bearer ${used}`;
    if (body !== undefined) all["Content-Type"] = "application/json";
    const response = await fetch(path, {
      method, headers: all, signal, body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store", credentials: "omit", redirect: "error"});
    if (response.ok) return response;
    if (response.status !== 401) throw await problem(response);
    if (used === key) {
      const given = await askForKey();
      if (!given) throw new ApiError("this node wants an API key", 401);
      key = given;
    }
  }
}

export const get = async (path) => (await request(path)).json();
export const post = async (path, body) => (await request(path, {method: "POST", body})).json();

// The lines of a response as values. A line {"error"} ends it.
export async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    rest += value ?? "";
    const whole = rest.split("\n");
    rest = done ? "" : whole.pop();
    if (rest.length > LINE_MAX) throw new ApiError("the answer has a line that is too long", 0);
    for (const line of whole) {
      if (line.trim() === "") continue;
      const said = JSON.parse(line);
      if (said.error) throw new ApiError(String(said.error), 0);
      yield said;
    }
    if (done) return;
  }
}

// A link that saves what the path answers, also where a key is needed.
export function savingLink(text, path, file) {
  return element("a", {href: path, download: file, onclick: async (event) => {
    if (!key) return;
    event.preventDefault();
    const address = URL.createObjectURL(await (await request(path)).blob());
    element("a", {href: address, download: file}).click();
    URL.revokeObjectURL(address);
  }}, text);
}
