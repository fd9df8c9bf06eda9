// Who else is there: how far, how busy, with what.

import {get} from "/ui/api.js";
import {element, fill, find, short} from "/ui/dom.js";

let network = false;

function distance(peer) {
  if (peer.rtt_us === null) return peer.connected ? "connected" : "not connected";
  const ms = peer.rtt_us / 1000;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms away`;
}

function load(offer) {
  if (!offer) return element("p", {class: "soft"}, "Offers no inference, as far as is known.");
  const models = offer.models.length
    ? element("ul", {class: "tags"}, ...offer.models.map((name) => element("li", {}, name)))
    : element("p", {class: "soft"}, "Serves nobody now.");
  const busy = offer.jobs_max > 0
    ? element("label", {class: "load"}, `${offer.jobs_running} of ${offer.jobs_max} places taken`,
              element("meter", {min: 0, max: offer.jobs_max,
                                value: Math.min(offer.jobs_running, offer.jobs_max)}))
    : null;
  return element("div", {}, models, busy,
    element("p", {class: "soft"}, [offer.agent, offer.runtime, offer.arch,
                                   offer.open ? "takes anybody's jobs" : "takes jobs of some"]
      .filter(Boolean).join(" · ")));
}

function card(peer) {
  return element("article", {class: "card", "data-peer": peer.peer_id},
    element("h3", {title: peer.peer_id}, short(peer.peer_id)),
    element("p", {class: peer.connected ? "chip good" : "chip"}, distance(peer)),
    load(peer.offer),
    element("details", {}, element("summary", {"data-key": peer.peer_id}, "Addresses"),
      element("p", {class: "soft address"}, peer.peer_id),
      ...peer.addresses.map((address) => element("p", {class: "soft address"}, address))));
}

export async function refresh() {
  const list = find("peer-list");
  if (list.querySelector("details[open]")) return;  // somebody reads it
  const {peers} = await get("/api/lucid/peers");
  const none = element("p", {class: "empty"}, network ? "Nobody has been met yet."
                                                      : "This node stays off the network.");
  fill(list, ...(peers.length ? peers.map(card) : [none]));
}

export function tell(status) {
  network = status.network;
  find("peers-note").textContent = network
    ? `${status.peers_connected} connected. What a peer offers is signed by it; how far it is away `
      + "is measured from here."
    : "";
}

export function begin() {}
