// What ran for whom: jobs of others that were answered here, and own ones that others answered.

import {get, savingLink} from "/ui/api.js";
import {bytes, element, fill, find, short} from "/ui/dom.js";

let network = false;

function when(ms) {
  const time = new Date(ms);
  const today = time.toDateString() === new Date().toDateString();
  return element("time", {datetime: time.toISOString(), title: time.toString()},
                 today ? time.toLocaleTimeString() : time.toLocaleString());
}

const size = (tokens, count) => (tokens === null ? bytes(count) : `${tokens} tokens`);

function verdict(job) {
  const name = job.for === "others" ? "signed"
    : job.verdict === "verified" ? "verified"
    : job.verdict === "none" ? "none" : "refused";
  return element("span", {class: `verdict ${name}`}, name === "none" ? "no verdict" : job.verdict);
}

function entry(job) {
  const served = job.for === "others";
  const seconds = job.wall_us === null ? null
    : job.wall_us < 1e6 ? `${Math.round(job.wall_us / 1000)} ms`
    : `${(job.wall_us / 1e6).toFixed(1)} s`;
  const facts = [`asked with ${size(job.prompt_tokens, job.prompt_bytes)}`,
                 `answered with ${size(job.answer_tokens, job.answer_bytes)}`, seconds,
                 job.completion === "exited" ? "complete" : job.completion].filter(Boolean).join(" · ");
  const link = job.receipt === null ? null
    : savingLink("receipt", `${job.receipt}?part=receipt`, `receipt-${job.job.slice(0, 12)}.cose`);
  if (link) {
    link.setAttribute("data-key", job.job);
    link.setAttribute("aria-label", `Receipt of the job with ${job.model}, ${short(job.job)}`);
  }
  return element("li", {class: "job", "data-job": job.job},
    element("p", {class: "meta"}, element("span", {class: `who ${served ? "" : "away"}`,
                                                   title: job.peer_id},
      `${served ? "for" : "by"} ${short(job.peer_id)}`), verdict(job), when(job.ended_unix_ms),
      link),
    element("p", {}, element("strong", {}, job.model), element("span", {class: "soft"},
                                                               ` ${facts}`)));
}

export async function refresh() {
  const {jobs} = await get("/api/lucid/jobs");
  for (const [id, kind, none] of [
    ["jobs-served", "others", "Nobody else has asked this node for anything."],
    ["jobs-asked", "this node", "This node has asked nobody else for anything."]]) {
    const entries = jobs.filter((job) => job.for === kind).map(entry);
    fill(find(id), ...(entries.length ? entries : [element("li", {class: "soft"}, none)]));
  }
}

export function tell(status) {
  network = status.network;
  find("jobs-note").textContent = network
    ? "Who reads what: for a job of somebody else, this machine read prompt and answer; for one of "
      + "yours, the named peer did. Neither is written down here, only their lengths and the signed "
      + "receipt. Whoever may use this API sees this list; peers do not."
    : "This node stays off the network: nothing leaves it and nothing comes.";
}

export function begin() {}
