// Models: those here, those in memory, pulling and deleting.

import {get, lines, request} from "/ui/api.js";
import {ask, bytes, element, fill, find} from "/ui/dom.js";

// An expiry this far away is "never".
const NEVER_MS = 100 * 365 * 86_400_000;

let pulling = null;

function until(time) {
  const left = Date.parse(time) - Date.now();
  if (!(left < NEVER_MS)) return "until it is unloaded";
  if (left <= 0) return "about to be unloaded";
  const minutes = Math.floor(left / 60_000);
  return minutes > 0 ? `${minutes} min left` : `${Math.ceil(left / 1000)} s left`;
}

async function change(work) {
  try {
    await work();
    await refresh();
  } catch (error) {
    sayPull(error.message, null, true);
  }
}

async function remove(name) {
  const sure = await ask(`Delete ${name}?`, "Its file is removed from this machine.",
                         {yes: "Delete"});
  if (!sure) return;
  await change(() => request("/api/delete", {method: "DELETE", body: {model: name}}));
}

const unload = (name) =>
  change(() => request("/api/generate", {method: "POST", body: {model: name, keep_alive: 0}}));

function card(model, running) {
  const details = model.details ?? {};
  const facts = [bytes(model.size), details.parameter_size, details.quantization_level,
                 details.family].filter(Boolean).join(" · ");
  const button = (text, action, kind) =>
    element("button", {type: "button", class: kind, "data-key": `${text} ${model.name}`,
                       "aria-label": `${text} ${model.name}`, onclick: () => action(model.name)},
            text);
  return element("article", {class: "card", "data-model": model.name},
    element("h3", {}, model.name),
    element("p", {class: "soft"}, facts),
    element("p", {class: running ? "chip good" : "chip"},
            running ? `in memory: ${bytes(running.size)}, ${until(running.expires_at)}`
                    : "not in memory"),
    element("div", {class: "bar end"}, running ? button("Unload", unload, "quiet") : null,
            button("Delete", remove, "quiet danger")));
}

export async function refresh() {
  const [tags, ps] = await Promise.all([get("/api/tags"), get("/api/ps")]);
  const running = new Map(ps.models.map((model) => [model.name, model]));
  const cards = tags.models.map((model) => card(model, running.get(model.name)));
  const none = element("p", {class: "empty"},
                       "No model is here. Put a .gguf file into the model folder, or pull one.");
  fill(find("model-list"), ...(cards.length ? cards : [none]));
}

// ---- pulling -------------------------------------------------------------------------------------

function sayPull(text, share, failed = false) {
  const bar = find("pull-bar");
  find("pull-state").hidden = false;
  find("pull-text").textContent = text;
  find("pull-text").classList.toggle("failed", failed);
  bar.hidden = failed || share === null;
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share ?? 0;
}

function setPulling(controller) {
  pulling = controller;
  find("pull-go").hidden = controller !== null;
  find("pull-stop").hidden = controller === null;
}

async function pull(name) {
  const controller = new AbortController();
  setPulling(controller);
  sayPull(`${name}: asking`, undefined);
  try {
    const response = await request("/api/pull", {method: "POST", body: {model: name},
                                                 signal: controller.signal});
    for await (const line of lines(response)) {
      const known = line.total > 0;
      const count = known ? ` — ${bytes(line.completed ?? 0)} of ${bytes(line.total)}` : "";
      sayPull(`${name}: ${line.status}${count}`, known ? (line.completed ?? 0) / line.total
                                                       : undefined);
    }
    sayPull(`${name}: done`, 1);
    await refresh();
  } catch (error) {
    const stopped = controller.signal.aborted;
    sayPull(stopped ? `${name}: stopped; pulling it again goes on from there` : error.message, null,
            !stopped);
  } finally {
    setPulling(null);
  }
}

export function begin() {
  find("pull-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = find("pull-name").value.trim();
    if (name && !pulling) pull(name);
  });
  find("pull-stop").addEventListener("click", () => pulling?.abort());
}
