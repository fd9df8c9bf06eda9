// Server-sent events (WHATWG HTML §9.2) over fetch: unlike EventSource it can carry a token and
// tells why a stream ended.

export interface ServerEvent {
  id: string;
  name: string;
  data: string;
}
export const lineBytesMax = 4 * 1024 * 1024;

/** Takes text in any pieces, gives whole events. */
export class EventParser {
  private rest = "";
  private name = "";
  private data: string[] = [];
  private size = 0;
  private id: string | null = null;
  lastId = ""; // of what was given out whole, so that a half event is asked for again

  /** Errors: a line or an event above `lineBytesMax`. */
  feed(piece: string): ServerEvent[] {
    this.rest += piece;
    const out: ServerEvent[] = [];
    for (;;) {
      const found = /\r\n|\n|\r/.exec(this.rest);
      // A \r at the very end may be half of \r\n.
      if (!found || (found[0] === "\r" && found.index === this.rest.length - 1)) break;
      const line = this.rest.slice(0, found.index);
      this.rest = this.rest.slice(found.index + found[0].length);
      const event = this.line(line);
      if (event) out.push(event);
    }
    if (this.rest.length + this.size > lineBytesMax) throw new Error("an event that does not end");
    return out;
  }

  private line(line: string): ServerEvent | null {
    if (line === "") return this.dispatch();
    if (line.startsWith(":")) return null;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.name = value;
    if (field === "id" && !value.includes("\0")) this.id = value;
    if (field === "data") {
      this.data.push(value);
      this.size += value.length;
    }
    return null;
  }

  private dispatch(): ServerEvent | null {
    this.lastId = this.id ?? this.lastId;
    this.id = null;
    const event = { id: this.lastId, name: this.name || "message", data: this.data.join("\n") };
    const empty = this.data.length === 0;
    this.name = "";
    this.data = [];
    this.size = 0;
    return empty ? null : event;
  }
}

export interface StreamOptions {
  /** Opens the stream; gets the id of the last event seen. */
  open: (lastId: string, signal: AbortSignal) => Promise<Response>;
  onEvent: (event: ServerEvent) => void;
  onState: (live: boolean) => void;
  /** Milliseconds before the n-th attempt in a row (from 1). */
  delay?: (attempt: number) => number;
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** True: the end of the stream is the end of the story, not a broken connection. */
  endsItself?: boolean;
}

/** 1, 2, 4 … 30 s, each shortened by up to a quarter so that pages do not return all at once. */
export function backOff(attempt: number, random: () => number = Math.random): number {
  return Math.min(30_000, 1_000 * 2 ** Math.min(attempt - 1, 5)) * (1 - random() / 4);
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    });
  });
}

async function read(response: Response, parser: EventParser, options: StreamOptions): Promise<void> {
  const reader = response.body?.getReader();
  if (!reader) throw new Error("an answer without a body");
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(decoder.decode(value, { stream: true })).forEach(options.onEvent);
  }
}

/** Follows a stream until the returned function is called, joining again where it broke off. */
export function follow(options: StreamOptions): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  const run = async (): Promise<void> => {
    let lastId = "";
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      try {
        const response = await options.open(lastId, signal);
        const parser = new EventParser();
        parser.lastId = lastId;
        options.onState(true);
        attempt = 0;
        try {
          await read(response, parser, options);
        } finally {
          lastId = parser.lastId;
        }
        if (options.endsItself) break;
      } catch {
        // told by onState; the next attempt says more
      }
      if (signal.aborted) break;
      options.onState(false);
      await (options.wait ?? pause)((options.delay ?? backOff)(Math.max(attempt, 1)), signal);
    }
    if (!signal.aborted) options.onState(false);
  };
  void run();
  return () => abort.abort();
}
