import { describe, expect, it } from "vitest";
import type { LedgerEntry } from "../api/types";
import { checkChain, entryHash } from "./ledger";
import { sha256Hex } from "./sha256";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

// FIPS 180-4, examples of NIST; lengths around the edge of a block from another implementation.
it.each([
  ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  ],
  ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
  ["x".repeat(55), "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072"],
  ["x".repeat(56), "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e"],
  ["x".repeat(63), "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2"],
  ["x".repeat(64), "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c"],
  ["x".repeat(119), "000b48d4edf0fa7bee3c6236ecd2785baa5db4eeb8bb54341b029e0d9fa5fb0c"],
  ["x".repeat(120), "13f05a0b594787f5ecd315edc96141bd3243203d1b7d4f0836f37308b276ba98"],
])("SHA-256 of %#", (text, hash) => {
  expect(sha256Hex(utf8(text))).toBe(hash);
});

// Made by another implementation of spec/ledger.md.
const chain: LedgerEntry[] = [
  {
    sequence: 1,
    at: 1790000001000,
    kind: "grant",
    from: "mint",
    to: "user:u1",
    amount: 10000,
    reference: "u1",
    previous: "0000000000000000000000000000000000000000000000000000000000000000",
    hash: "b4b6bf943094ed3a28d6674c7b27fa8760a0f4d1204fe9f99e9a297bcc21868d",
  },
  {
    sequence: 2,
    at: 1790000002000,
    kind: "bond",
    from: "user:u1",
    to: "bond:us-1",
    amount: 1000,
    reference: "us-1",
    previous: "b4b6bf943094ed3a28d6674c7b27fa8760a0f4d1204fe9f99e9a297bcc21868d",
    hash: "91d115380c0d4bb01d926ceb32bfd175a12fc92f141a3f3830cbd5d9deb16144",
  },
  {
    sequence: 3,
    at: 1790000003000,
    kind: "escrow",
    from: "user:u1",
    to: "escrow:t1",
    amount: 100,
    reference: "t1",
    previous: "91d115380c0d4bb01d926ceb32bfd175a12fc92f141a3f3830cbd5d9deb16144",
    hash: "b966b31c6e97c32549549c4cb47e4cf93d7d87e383905120f1540d8f466f5b73",
  },
  {
    sequence: 4,
    at: 1790000004000,
    kind: "pay",
    from: "escrow:t1",
    to: "node:us-1",
    amount: 12,
    reference: "t1",
    previous: "b966b31c6e97c32549549c4cb47e4cf93d7d87e383905120f1540d8f466f5b73",
    hash: "fc1aaec8db51e46b3bf4522baf79c97bd9405a618c591015d037040e19469ba5",
  },
  {
    sequence: 5,
    at: 1790000005000,
    kind: "refund",
    from: "escrow:t1",
    to: "user:u1",
    amount: 88,
    reference: "t1",
    previous: "fc1aaec8db51e46b3bf4522baf79c97bd9405a618c591015d037040e19469ba5",
    hash: "6885b987498991b8a01eef438206c9272f4bcde6f66730a1ee8dec47bf7fb157",
  },
];

describe("a chain", () => {
  it("that is whole holds, in any order", () => {
    expect(checkChain(chain)).toEqual({ checked: 5, links: 4, fault: "" });
    expect(checkChain([...chain].reverse()).fault).toBe("");
  });
  it("with holes holds where neighbours meet", () => {
    const some = chain.filter((entry) => entry.sequence !== 4);
    expect(checkChain(some)).toEqual({ checked: 4, links: 2, fault: "" });
  });
  it("takes its moments as text too", () => {
    const first = chain[0];
    if (!first) throw new Error("no entry");
    expect(entryHash({ ...first, at: new Date(Number(first.at)).toISOString() })).toBe(first.hash);
  });
  it.each([
    ["amount", 13],
    ["to", "node:us-2"],
    ["reference", "t2"],
    ["kind", "refund"],
    ["at", 1],
  ])("shows a change of %s", (field, value) => {
    const changed = chain.map((entry) => (entry.sequence === 4 ? { ...entry, [field]: value } : entry));
    expect(checkChain(changed).fault).toMatch(/^Entry 4 /);
  });
  it("shows an entry that was made anew", () => {
    const changed = chain.map((entry) => {
      if (entry.sequence !== 4) return entry;
      const forged = { ...entry, amount: 99 };
      return { ...forged, hash: entryHash(forged) ?? "" };
    });
    expect(checkChain(changed).fault).toMatch(/^Entry 5 does not follow/);
  });
  it("cannot hold an entry twice, of no kind, or with figures beyond exact integers", () => {
    expect(checkChain([...chain, ...chain.slice(0, 1)]).fault).toMatch(/twice/);
    for (const bad of [{ kind: "gift" }, { amount: 2 ** 60 }, { amount: -1 }, { previous: "x" }]) {
      const entry = { ...(chain[0] as LedgerEntry), ...bad };
      expect(entryHash(entry)).toBeNull();
      expect(checkChain([entry]).fault).not.toBe("");
    }
  });
});
