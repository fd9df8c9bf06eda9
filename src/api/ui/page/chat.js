// A conversation: each answer with who served it, its verdict and its receipt.

import {get, lines, post, request, savingLink} from "/ui/api.js";
import {element, find, short} from "/ui/dom.js";

const VERDICTS = {
  pending: ["pending", "The receipt comes with the end of the answer"],
  verified: ["verified", "The receipt is signed by who served it and fits model, prompt and answer"],
  refused: ["refused", "The receipt does not hold: do not rely on this answer"],
  none: ["no verdict", "The answer did not come to its end"],
};

let messages = [];
let conversation = "";
let running = null;  // AbortController of the answer on its way
let privacy = "";
let meshOn = false;
const abilities = new Map();  // by digest
let remote = new Set();  // names that only other machines have

function newConversation() {
  running?.abort();
  messages = [];
  conversation = crypto.getRandomValues(new Uint32Array(4)).join("-");
  find("chat-log").replaceChildren(element("p", {class: "empty"}, "What would you like to know?"));
  find("chat-text").focus();
}

// ---- one answer ----------------------------------------------------------------------------------

class Bubble {
  constructor() {
    this.text = element("div", {class: "text"});
    this.thought = element("div", {class: "thought"});
    this.thinking = element("details", {hidden: true}, element("summary", {}, "Thoughts"),
                            this.thought);
    this.who = element("span", {class: "who"});
    this.verdict = element("span", {class: "verdict"});
    this.more = element("span", {class: "more"});
    this.meta = element("div", {class: "meta"}, this.who, this.verdict, this.more);
    this.meta.hidden = true;
    this.node = element("article", {class: "answer", "aria-label": "Answer"}, this.thinking,
                        this.text, this.meta);
  }

  route(via, peer) {
    const here = via === "local";
    this.who.textContent = here ? "this machine" : `peer ${peer ? short(peer) : via}`;
    this.who.title = peer ?? "";
    this.who.classList.toggle("away", !here);
    this.meta.hidden = false;
  }

  judge(name, why) {
    const [text, title] = VERDICTS[name];
    this.verdict.textContent = why ? `${text}: ${why}` : text;
    this.verdict.title = title;
    this.verdict.className = `verdict ${name}`;
  }

  add(message) {
    this.text.append(message?.content ?? "");
    if (message?.thinking) {
      this.thinking.hidden = false;
      this.thought.append(message.thinking);
    }
  }

  finish(last) {
    const lucid = last.x_lucid;
    this.route(lucid.routed_via, lucid.served_by);
    this.judge(lucid.verified === true ? "verified" : lucid.verified === false ? "refused"
                                                                              : "none",
               lucid.failed_check);
    const speed = last.eval_duration > 0
      ? `, ${Math.round(last.eval_count / last.eval_duration * 1e9)}/s` : "";
    const path = `/api/receipts/${encodeURIComponent(lucid.receipt)}`;
    const stem = lucid.receipt.slice(0, 12);
    const save = (text, part, kind) =>
      savingLink(text, `${path}?part=${part}`, `${part}-${stem}.${kind}`);
    this.more.replaceChildren(
      save("receipt", "receipt", "cose"), " · ", save("manifest", "manifest", "cose"), " · ",
      save("transcript", "output", "json"),
      last.eval_count ? ` · ${last.eval_count} tokens${speed}` : "");
    if (last.done_reason === "length") this.more.append(" · cut at the limit");
  }

  fail(text) {
    this.text.append(element("p", {class: "failed", role: "alert"}, text));
    if (!this.meta.hidden) this.judge("none");
  }
}

// ---- sending -------------------------------------------------------------------------------------

async function follow(bubble, signal) {
  const headers = {"X-Lucid-Conversation": conversation};
  if (find("chat-local").checked) headers["X-Lucid-Local-Only"] = "1";
  const response = await request("/api/chat", {
    method: "POST", headers, signal,
    body: {model: find("chat-model").value, messages, stream: true,
           options: find("chat-steady").checked ? {temperature: 0} : undefined}});
  bubble.route(response.headers.get("X-Lucid-Routed-Via") ?? "",
               response.headers.get("X-Lucid-Served-By"));
  bubble.judge("pending");
  let whole = "";
  for await (const line of lines(response)) {
    const log = find("chat-log");
    const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    bubble.add(line.message);
    whole += line.message?.content ?? "";
    if (line.done) bubble.finish(line);
    if (follows) log.scrollTop = log.scrollHeight;
  }
  return whole;
}

function busy(controller) {
  running = controller;
  find("chat-send").hidden = controller !== null;
  find("chat-stop").hidden = controller === null;
}

async function send() {
  const box = find("chat-text");
  const text = box.value.trim();
  if (text === "" || running) return;
  const log = find("chat-log");
  log.querySelector(".empty")?.remove();
  box.value = "";
  grow();
  messages.push({role: "user", content: text});
  const bubble = new Bubble();
  log.append(element("article", {class: "question", "aria-label": "You"}, text), bubble.node);
  log.scrollTop = log.scrollHeight;
  const controller = new AbortController();
  const mine = conversation;
  busy(controller);
  bubble.node.setAttribute("aria-busy", "true");
  try {
    const whole = await follow(bubble, controller.signal);
    if (mine === conversation) messages.push({role: "assistant", content: whole});
  } catch (error) {
    bubble.fail(controller.signal.aborted ? "Stopped." : error.message);
    if (mine === conversation) messages.pop();
  } finally {
    bubble.node.removeAttribute("aria-busy");
    if (running === controller) busy(null);
  }
}

// ---- what can be asked ---------------------------------------------------------------------------

// Whether a model here has conversations; what cannot be found out is offered.
async function talks(model) {
  if (!abilities.has(model.digest)) {
    try {
      const {capabilities} = await post("/api/show", {model: model.name});
      abilities.set(model.digest, capabilities.includes("completion"));
    } catch {
      return true;
    }
  }
  return abilities.get(model.digest);
}

async function offered() {
  const {models} = await get("/api/tags");
  const able = await Promise.all(models.map(talks));
  const here = models.filter((_, at) => able[at]).map((model) => model.name);
  if (!meshOn) return [here, []];
  const {peers} = await get("/api/lucid/peers");
  const away = new Set(peers.flatMap((peer) => peer.offer?.models ?? []));
  for (const name of here) away.delete(name);
  return [here, [...away].sort()];
}

export async function refresh() {
  const [here, away] = await offered();
  remote = new Set(away);
  const select = find("chat-model");
  const chosen = select.value;
  const now = [...here, "", ...away].join("\n");
  if (select.dataset.known !== now) {
    select.dataset.known = now;
    const options = (names) => names.map((name) => element("option", {value: name}, name));
    const groups = [];
    if (here.length) groups.push(element("optgroup", {label: "On this machine"}, ...options(here)));
    if (away.length) groups.push(element("optgroup", {label: "Of peers"}, ...options(away)));
    if (!groups.length) groups.push(element("option", {value: ""}, "no model yet"));
    select.replaceChildren(...groups);
    if (here.includes(chosen) || away.includes(chosen)) select.value = chosen;
  }
  sayPrivacy();
}

function sayPrivacy() {
  const place = find("chat-privacy");
  const leaves = remote.has(find("chat-model").value) && !find("chat-local").checked;
  place.textContent = leaves
    ? "This model is on other machines: whoever answers reads your prompt and the answer."
    : privacy;
  place.classList.toggle("away", leaves);
}

export function tell(status) {
  meshOn = status.mesh.on;
  find("chat-local").closest("label").hidden = !meshOn;
  privacy = meshOn
    ? "Models on this machine are answered here; prompts for others go to a peer, who can read them."
    : "Prompts and answers stay on this machine.";
  if (status.worker === "echo") {
    privacy += " No engine runs: the echo worker answers with the last message reversed.";
  }
  sayPrivacy();
}

function grow() {
  const box = find("chat-text");
  box.rows = Math.min(8, Math.max(1, box.value.split("\n").length));
}

export function begin() {
  find("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  find("chat-text").addEventListener("input", grow);
  find("chat-text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  find("chat-stop").addEventListener("click", () => running?.abort());
  find("chat-new").addEventListener("click", newConversation);
  find("chat-model").addEventListener("change", sayPrivacy);
  find("chat-local").addEventListener("change", sayPrivacy);
  newConversation();
}
