// What runs print, as it comes in by events.

import { base64Text } from "./format";

export interface Piece {
  node: string;
  stream: string; // stdout, stderr
  text: string;
}
export const outputCharsMax = 200_000;

/** The text of an `output` event; null when it has none. */
export function pieceOf(json: Record<string, unknown>): Piece | null {
  const said = (name: string): string | null => (typeof json[name] === "string" ? (json[name] as string) : null);
  const packed = said("data_base64") ?? said("bytes_base64");
  let text = said("text") ?? said("data");
  if (text === null && packed !== null) {
    try {
      text = new TextDecoder().decode(base64Text(packed));
    } catch {
      return null;
    }
  }
  if (text === null) return null;
  return { node: said("node_id") ?? "", stream: said("stream") ?? "stdout", text };
}

/** Adds a piece to what its node printed before; keeps the end when it gets too long. */
export function append(all: readonly Piece[], piece: Piece): Piece[] {
  const at = all.findIndex((one) => one.node === piece.node && one.stream === piece.stream);
  const before = all[at];
  if (!before) return [...all, piece];
  const text = (before.text + piece.text).slice(-outputCharsMax);
  return all.map((one, index) => (index === at ? { ...one, text } : one));
}
