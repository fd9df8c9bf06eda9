// Checks ledger entries as spec/ledger.md says: each hash over deterministic CBOR (RFC 8949 §4.2)
// of what the entry says, each entry holding the hash of the one before.

import type { LedgerEntry } from "../api/types";
import { milliseconds } from "./format";
import { sha256Hex } from "./sha256";

const kinds = ["", "grant", "bond", "unbond", "escrow", "pay", "refund", "slash"];
const zeros = "0".repeat(64);

function head(major: number, value: number): number[] {
  const first = major << 5;
  if (value < 24) return [first | value];
  if (value < 2 ** 8) return [first | 24, value];
  if (value < 2 ** 16) return [first | 25, value >> 8, value & 255];
  const bytes: number[] = [];
  const length = value < 2 ** 32 ? 4 : 8;
  for (let at = length - 1; at >= 0; at -= 1) bytes.push(Math.floor(value / 256 ** at) % 256);
  return [first | (length === 4 ? 26 : 27), ...bytes];
}
const uint = (value: number): number[] => head(0, value);
function text(value: string): number[] {
  const bytes = [...new TextEncoder().encode(value)];
  return [...head(3, bytes.length), ...bytes];
}
function hex(value: string): number[] {
  return (value.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
}

/** The hash an entry must have; null for an entry that cannot be hashed. */
export function entryHash(entry: LedgerEntry): string | null {
  const kind = kinds.indexOf(entry.kind);
  const at = milliseconds(entry.at);
  const numbers = [entry.sequence, at, entry.amount];
  if (kind < 1 || !/^[0-9a-f]{64}$/.test(entry.previous)) return null;
  if (!numbers.every((one) => Number.isSafeInteger(one) && (one ?? -1) >= 0)) return null;
  const bytes = [
    ...head(4, 9),
    ...text("phase/ledger/1"),
    ...uint(entry.sequence),
    ...uint(at ?? 0),
    ...uint(kind),
    ...text(entry.from),
    ...text(entry.to),
    ...uint(entry.amount),
    ...text(entry.reference),
    ...head(2, 32),
    ...hex(entry.previous),
  ];
  return sha256Hex(Uint8Array.from(bytes));
}

export interface ChainCheck {
  checked: number;
  links: number; // neighbours whose hashes meet
  fault: string; // what is wrong; empty: nothing
}

/** Entries in any order. Where neighbours are both there, their link is checked too. */
export function checkChain(entries: readonly LedgerEntry[]): ChainCheck {
  const sorted = [...entries].sort((a, b) => a.sequence - b.sequence);
  let links = 0;
  for (const [at, entry] of sorted.entries()) {
    const wrong = (what: string): ChainCheck => ({
      checked: at,
      links,
      fault: `Entry ${entry.sequence} ${what}.`,
    });
    if (entryHash(entry) !== entry.hash) return wrong("does not have the hash of what it says");
    if (entry.sequence === 1 && entry.previous !== zeros) return wrong("is not a beginning");
    const before = sorted[at - 1];
    if (before && before.sequence === entry.sequence) return wrong("is there twice");
    if (before && before.sequence + 1 === entry.sequence) {
      if (before.hash !== entry.previous) return wrong("does not follow from the entry before it");
      links += 1;
    }
  }
  return { checked: sorted.length, links, fault: "" };
}
