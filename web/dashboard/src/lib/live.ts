// What happens in the fleet, once for the whole page.

import type { Client } from "../api/client";
import { follow, type ServerEvent } from "../api/sse";

export const eventsShownMax = 300;
export const answersKeptMax = 40;

export interface Happening extends ServerEvent {
  seen: number; // unix ms, when this page got it
  json: Record<string, unknown>;
}
export function read(event: ServerEvent, seen: number): Happening {
  let json: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(event.data);
    if (typeof parsed === "object" && parsed !== null) json = parsed as Record<string, unknown>;
  } catch {
    // shown as it came
  }
  return { ...event, seen, json };
}

export class Live {
  private readonly listeners = new Set<(event: Happening) => void>();
  private readonly watchers = new Set<() => void>();
  private stop: () => void = () => undefined;
  live = false;
  recent: readonly Happening[] = [];
  /** The last answers by path, so that a page one returns to is there at once. */
  private readonly answers = new Map<string, { body: unknown; next: string }>();

  constructor(private readonly client: Client) {}

  start(): void {
    this.stop();
    this.stop = follow({
      open: (lastId, signal) =>
        this.client.raw("GET", "/events", {
          signal,
          headers: { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) },
        }),
      onState: (live) => {
        this.live = live;
        this.watchers.forEach((changed) => changed());
      },
      onEvent: (event) => {
        const happening = read(event, Date.now());
        this.recent = [happening, ...this.recent].slice(0, eventsShownMax);
        this.listeners.forEach((listener) => listener(happening));
        this.watchers.forEach((changed) => changed());
      },
    });
  }
  end(): void {
    this.stop();
    this.live = false;
    this.recent = [];
    this.answers.clear();
  }
  keep(path: string, body: unknown, next: string): void {
    this.answers.delete(path);
    this.answers.set(path, { body, next });
    const oldest = this.answers.keys().next();
    if (this.answers.size > answersKeptMax && !oldest.done) this.answers.delete(oldest.value);
  }
  kept(path: string | null): { body: unknown; next: string } | null {
    return (path !== null && this.answers.get(path)) || null;
  }
  listen(listener: (event: Happening) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  watch = (changed: () => void): (() => void) => {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  };
}
