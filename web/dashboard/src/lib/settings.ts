// What the reader chose on this machine. No secret is kept here.

const key = "vcp_api_base_url";

/** An origin, or "" for the server that sent the page; null for what is none. */
export function originOf(text: string): string | null {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  try {
    const url = new URL(trimmed);
    const plain = url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
    return plain && (url.protocol === "http:" || url.protocol === "https:") ? url.origin : null;
  } catch {
    return null;
  }
}
/** Which coordinator is asked: "" is the one that sent the page. */
export function apiOrigin(): string {
  try {
    const origin = originOf(window.localStorage.getItem(key) ?? "") ?? "";
    return origin === window.location.origin ? "" : origin;
  } catch {
    return ""; // storage is off
  }
}
export function keepApiOrigin(origin: string): void {
  if (origin === "") window.localStorage.removeItem(key);
  else window.localStorage.setItem(key, origin);
}
