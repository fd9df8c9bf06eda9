import { describe, expect, it } from "vitest";
import { backOff, EventParser, follow, lineBytesMax, type ServerEvent } from "./sse";

const wire = ": hello\r\nid: 7\nevent: task\ndata: {\"a\":\ndata: 1}\n\ndata:x\r\n\r\nevent: empty\n\nid: 8\rdata: y\r\r\n";

describe("EventParser", () => {
  it("reads events as the standard says", () => {
    const parser = new EventParser();
    expect(parser.feed(wire)).toEqual([
      { id: "7", name: "task", data: '{"a":\n1}' },
      { id: "7", name: "message", data: "x" },
      { id: "8", name: "message", data: "y" },
    ]);
    expect(parser.lastId).toBe("8");
  });
  it("reads the same from pieces cut anywhere", () => {
    const whole = new EventParser().feed(wire);
    for (let cut = 1; cut < wire.length; cut += 1) {
      const parser = new EventParser();
      expect([...parser.feed(wire.slice(0, cut)), ...parser.feed(wire.slice(cut))]).toEqual(whole);
    }
    const byOne = new EventParser();
    expect([...wire].flatMap((letter) => byOne.feed(letter))).toEqual(whole);
  });
  it("gives up on what does not end", () => {
    const parser = new EventParser();
    expect(() => parser.feed("data: " + "x".repeat(lineBytesMax))).toThrow();
    const lines = new EventParser();
    expect(() => {
      for (let at = 0; at < 5; at += 1) lines.feed("data: " + "x".repeat(lineBytesMax / 4) + "\n");
    }).toThrow();
  });
});

it("attempts come later and later, never later than 30 s", () => {
  expect([1, 2, 3, 6, 60].map((attempt) => backOff(attempt, () => 0))).toEqual([1000, 2000, 4000, 30_000, 30_000]);
  expect(backOff(1, () => 1)).toBe(750);
});

/** A stream of pieces; then it ends, or breaks. */
function streamOf(pieces: string[], breaks: boolean): Response {
  const encoder = new TextEncoder();
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces[at];
      at += 1;
      if (piece !== undefined) controller.enqueue(encoder.encode(piece));
      else if (breaks) controller.error(new Error("cut off"));
      else controller.close();
    },
  });
  return new Response(body);
}

describe("follow", () => {
  it("joins again after the last event it saw", async () => {
    const asked: string[] = [];
    const events: ServerEvent[] = [];
    const states: boolean[] = [];
    const waits: number[] = [];
    await new Promise<void>((done) => {
      const stop = follow({
        open: async (lastId) => {
          asked.push(lastId);
          if (asked.length === 1) return streamOf(["id: 1\ndata: a\n\nid: 2\nda", "ta: b\n\nid: 3\ndata: half"], true);
          if (asked.length < 4) throw new Error("not there");
          return streamOf(["id: 3\ndata: c\n\n"], false);
        },
        onEvent: (event) => {
          events.push(event);
          if (event.data === "c") {
            stop();
            done();
          }
        },
        onState: (live) => states.push(live),
        delay: (attempt) => attempt,
        wait: async (milliseconds) => void waits.push(milliseconds),
      });
    });
    expect(events.map((event) => event.data)).toEqual(["a", "b", "c"]);
    expect(asked).toEqual(["", "2", "2", "2"]);
    expect(states.slice(0, 2)).toEqual([true, false]);
    expect(waits.slice(0, 3)).toEqual([1, 1, 2]);
  });
  it("ends with a stream that ends itself", async () => {
    let opened = 0;
    const states: boolean[] = [];
    await new Promise<void>((done) => {
      follow({
        open: async () => {
          opened += 1;
          return streamOf(["data: a\n\n"], false);
        },
        onEvent: () => undefined,
        onState: (live) => {
          states.push(live);
          if (!live) done();
        },
        endsItself: true,
      });
    });
    expect(opened).toBe(1);
    expect(states).toEqual([true, false]);
  });
});
