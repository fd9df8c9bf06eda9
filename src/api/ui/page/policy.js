// What others may ask of this machine, why they are not served now, and who can read what.

import {get, post} from "/ui/api.js";
import {element, facts, fill, find, short} from "/ui/dom.js";

const LOOPBACK = /^(localhost|127\.|\[::1\])/;

let again = () => {};
let paused = false;

const yes = (value) => (value ? "yes" : "no");

function sayServing(status) {
  paused = status.manual_pause;
  const state = find("serving-state");
  const reason = status.paused ? `Paused: ${status.paused}.` : "Others are served now.";
  state.textContent = !status.network ? "This node stays off the network: nobody else reaches it."
    : status.takes_others ? reason
    : `The rules let nobody else send jobs${paused ? "; paused besides" : ""}.`;
  state.className = `state ${!status.network || !status.takes_others ? "" : status.paused ? "wait" : "good"}`;
  const machine = [];
  if (status.machine.on_battery) machine.push("on battery");
  if (status.machine.temperature_c !== null) {
    machine.push(`hottest sensor ${Math.round(status.machine.temperature_c)} °C`);
  }
  machine.push(`${status.jobs.others} of others' jobs and ${status.jobs.own} of yours run now`);
  find("serving-why").textContent = `${machine.join(" · ")}. Your own requests are never paused.`;
  find("pause-button").textContent = paused ? "Resume" : "Pause";
}

function sayPrivacy(status) {
  const lines = ["What a model on this machine answers stays on this machine."];
  if (status.mesh.on) {
    lines.push(
      `A prompt may leave for a model that is not here and fits: ${status.mesh.models.join(", ")}.`,
      "Whoever answers it reads your prompt and the answer, and signs what they did. The way there "
      + "is encrypted: nobody between can read it.",
      "“Only this machine” in the chat, or the header X-Lucid-Local-Only, keeps a prompt here.");
  } else {
    lines.push("No prompt leaves: the mesh is off. lucidd --mesh turns it on.");
  }
  if (status.takes_others) {
    lines.push("Others' prompts that are answered here can be read by whoever controls this machine. "
               + "None is kept: “Jobs” lists who asked, when and how much, with the receipts.");
  }
  if (location.protocol === "http:" && !LOOPBACK.test(location.hostname)) {
    lines.push("This page itself came over a connection that is not encrypted: whoever is on the "
               + "network between you and the node can read what you type.");
  }
  fill(find("privacy-list"), ...lines.map((line) => element("li", {}, line)));
}

function sayNode(status) {
  facts(find("node-list"), [
    ["Peer id", status.peer_id], ["Program", `${status.agent}, version ${status.version}`],
    ["Worker", `${status.worker}${status.worker === "llama-cpp"
      ? `, ${status.isolated ? "locked down" : "not locked down"}` : ""}`],
    ["Network", status.network ? `${status.peers_connected} peers connected` : "off"],
    ...status.listen_addresses.map((address) => ["Listens on", address])]);
}

function sayRules(rules) {
  const submitters = rules.authorized_submitters.map(short).join(", ");
  const window = rules.time_of_day_window;
  const heat = rules.auto_pause_on_thermal_threshold_c;
  facts(find("rule-list"), [
    ["Who may send jobs", rules.allow_unauthenticated_jobs ? "anybody" : submitters || "nobody else"],
    ["Models they may use", rules.serve_models.join(", ") || "none"],
    ["Paused on battery", yes(rules.auto_pause_on_battery)],
    ["Paused by heat", heat === null ? "no" : `above ${heat} °C`],
    ["Hours", window ? `${window.start_hour_local}:00 to ${window.end_hour_local}:00` : "any"],
    ["Jobs at once", `${rules.max_concurrent_remote_jobs}, `
      + `${rules.max_concurrent_jobs_per_key} of one key`],
    ["Jobs a minute", `${rules.max_jobs_per_minute_per_key} of one key`],
    ["One job at most", `${rules.max_tokens_ceiling} tokens, ${rules.max_prompt_bytes} bytes of `
      + `prompt, ${rules.max_wall_seconds} s`],
    ["Kept free", `${rules.vram_reserve_gb} GB of graphics memory, `
      + `${rules.memory_reserve_gb} GB of memory`]]);
  find("rule-file").textContent = `From ${rules.file}, which is read again when it changes.`;
}

export function tell(status) {
  sayServing(status);
  sayPrivacy(status);
  sayNode(status);
}

export async function refresh() {
  sayRules(await get("/api/lucid/policy"));
}

async function toggle() {
  const button = find("pause-button");
  button.disabled = true;
  try {
    tell(await post("/api/lucid/pause", {paused: !paused}));
    await again();
  } catch (error) {
    find("serving-why").textContent = error.message;
  } finally {
    button.disabled = false;
    button.focus();
  }
}

export function begin(look) {
  again = look;
  find("pause-button").addEventListener("click", toggle);
}
