// What runs print, as it comes in by events.

import { base64Text } from "./format";

export interface Printed {
  node: string;
  attempt: number;
  stream: string; // stdout, stderr
  text: string;
}
export const outputCharsMax = 200_000;
const streams = ["", "stdout", "stderr"]; // as numbered on the wire

/** Text by node, attempt and stream. Letters that events cut in two are put together again. */
export class OutputLog {
  private readonly decoders = new Map<string, TextDecoder>();
  printed: readonly Printed[] = [];

  /** Takes an `output` event. False: it is none, and nothing changed. */
  take(json: Record<string, unknown>): boolean {
    const { node_id: node, attempt, stream: number, data } = json;
    const stream = typeof number === "number" ? streams[number] : undefined;
    if (typeof node !== "string" || typeof attempt !== "number" || !stream || typeof data !== "string") return false;
    const key = `${node}/${attempt}/${stream}`;
    const decoder = this.decoders.get(key) ?? new TextDecoder();
    this.decoders.set(key, decoder);
    let text: string;
    try {
      text = decoder.decode(base64Text(data), { stream: true });
    } catch {
      return false; // no base64
    }
    const at = this.printed.findIndex((one) => one.node === node && one.attempt === attempt && one.stream === stream);
    const before = this.printed[at];
    if (!before) this.printed = [...this.printed, { node, attempt, stream, text }];
    else {
      const longer = { ...before, text: (before.text + text).slice(-outputCharsMax) };
      this.printed = this.printed.map((one, index) => (index === at ? longer : one));
    }
    return true;
  }
}
