// Elements and texts. Nothing here, or anywhere in the page, takes markup from a string: what models
// and peers write becomes text.

export const find = (id) => document.getElementById(id);

// element("p", {class: "soft", onclick: f}, "text", child): an absent child is left out.
export function element(name, attributes = {}, ...children) {
  const out = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) out.addEventListener(key.slice(2), value);
    else out.setAttribute(key, value === true ? "" : String(value));
  }
  out.append(...children.filter((child) => child !== null && child !== undefined));
  return out;
}

// Puts the children in place of what was there, and keeps the focus on the same control.
export function fill(parent, ...children) {
  const focused = parent.contains(document.activeElement)
    ? document.activeElement.getAttribute("data-key") : null;
  parent.replaceChildren(...children);
  if (focused) {
    for (const control of parent.querySelectorAll("[data-key]")) {
      if (control.getAttribute("data-key") === focused) control.focus();
    }
  }
}

// A <dl> from pairs of texts.
export function facts(list, pairs) {
  fill(list, ...pairs.flatMap(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, value)]));
}

export function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  let value = count;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

export const short = (peer) => (peer.length > 16 ? `${peer.slice(0, 6)}…${peer.slice(-8)}` : peer);

// A question with two answers; resolves to false, or to true or the text that was asked for.
export function ask(title, text, {yes = "OK", secret = false} = {}) {
  const dialog = find("ask-dialog");
  find("ask-title").textContent = title;
  find("ask-text").textContent = text;
  find("ask-yes").textContent = yes;
  find("ask-field").hidden = !secret;
  find("ask-key").value = "";
  return new Promise((resolve) => {
    let answer = false;
    find("ask-form").onsubmit = (event) => {
      event.preventDefault();
      answer = secret ? find("ask-key").value : true;
      dialog.close();
    };
    find("ask-no").onclick = () => dialog.close();
    dialog.onclose = () => {
      find("ask-key").value = "";
      resolve(answer);
    };
    dialog.showModal();
    find(secret ? "ask-key" : "ask-no").focus();
  });
}
