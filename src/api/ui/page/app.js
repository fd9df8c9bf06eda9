// The page: which part is shown, and what is known of the node.

import {get} from "/ui/api.js";
import {find} from "/ui/dom.js";
import * as chat from "/ui/chat.js";
import * as jobs from "/ui/jobs.js";
import * as models from "/ui/models.js";
import * as peers from "/ui/peers.js";
import * as policy from "/ui/policy.js";

const VIEWS = {chat, models, peers, jobs, policy};
const LOOK_MS = 5000;

let shown = "";

function tell(status) {
  const state = find("node-state");
  const open = status.network && status.takes_others;
  const others = !open ? "for you only" : status.paused ? "paused for others" : "serving others";
  state.textContent = `running · ${others}`;
  state.className = `chip ${open && status.paused ? "wait" : "good"}`;
}

function trouble(error) {
  const place = find("trouble");
  place.textContent = error ? `The node does not answer: ${error.message}` : "";
  place.hidden = !error;
  if (error) {
    find("node-state").textContent = "not reached";
    find("node-state").className = "chip bad";
  }
}

async function look() {
  try {
    const status = await get("/api/lucid/status");
    tell(status);
    for (const view of Object.values(VIEWS)) view.tell?.(status);
    await VIEWS[shown]?.refresh?.();
    trouble(null);
  } catch (error) {
    trouble(error);
  }
}

async function keepLooking() {
  for (;;) {
    if (!document.hidden) await look();
    await new Promise((next) => { setTimeout(next, LOOK_MS); });
  }
}

function show() {
  const wanted = location.hash.slice(1);
  if (wanted === "main") return;
  const name = Object.hasOwn(VIEWS, wanted) ? wanted : "chat";
  if (name === shown) return;
  shown = name;
  for (const view of Object.keys(VIEWS)) find(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${name[0].toUpperCase()}${name.slice(1)} · LUCID`;
  VIEWS[name].refresh?.().catch(trouble);
}

for (const view of Object.values(VIEWS)) view.begin(look);
addEventListener("hashchange", show);
show();
keepLooking();
