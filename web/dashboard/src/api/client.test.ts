import { describe, expect, it } from "vitest";
import { Client, type Fetch } from "./client";
import { ApiError } from "./errors";

interface Seen {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
  credentials: string;
}
/** A coordinator that answers from a list, and remembers what it was asked. */
function server(answer: (seen: Seen, count: number) => Response | Error): { send: Fetch; seen: Seen[] } {
  const seen: Seen[] = [];
  const send: Fetch = async (url, init = {}) => {
    const one = {
      method: init.method ?? "GET",
      url,
      headers: init.headers as Record<string, string>,
      body: String(init.body ?? ""),
      credentials: String(init.credentials),
    };
    seen.push(one);
    const result = answer(one, seen.length);
    if (result instanceof Error) throw result;
    return result;
  };
  return { send, seen };
}
const json = (status: number, body: unknown, headers = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
const caught = async (work: Promise<unknown>): Promise<ApiError> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
};

describe("errors", () => {
  it("carry message, hint, details and when to come back", async () => {
    const body = { error: "validation_error", message: "no", hint: "do so", details: [{ field: "bid", message: "too small" }] };
    const { send } = server(() => json(422, body, { "Retry-After": "7" }));
    const error = await caught(new Client("", send).get("/tasks"));
    expect(error).toMatchObject({ status: 422, code: "validation_error", message: "no", hint: "do so", retryAfterSeconds: 7 });
    expect(error.details).toEqual([{ field: "bid", message: "too small" }]);
  });
  it("of something that is no coordinator say where to look", async () => {
    const { send } = server(() => new Response("<html>", { status: 404 }));
    const error = await caught(new Client("", send).get("/tasks"));
    expect(error.message).toMatch(/404/);
    expect(error.hint).toMatch(/Settings/);
  });
  it("of an answer with other types are still errors", async () => {
    for (const body of [[], 7, null, { error: 5, message: {}, details: "x" }]) {
      const { send } = server(() => json(500, body));
      expect((await caught(new Client("", send).get("/x"))).status).toBe(500);
    }
  });
});

describe("the connection", () => {
  it("is known by what requests brought, not by hope", async () => {
    let up = false;
    const { send } = server(() => (up ? json(401, { error: "unauthorized", message: "sign in" }) : new Error("refused")));
    const client = new Client("", send);
    const states: string[] = [];
    client.watch(() => states.push(client.connection));
    expect(client.connection).toBe("unknown");
    expect((await caught(client.get("/nodes"))).code).toBe("unreachable");
    expect(client.connection).toBe("unreachable");
    up = true;
    await caught(client.get("/nodes"));
    expect(client.connection).toBe("connected");
    expect(states).toEqual(["unreachable", "connected"]);
  });
  it("is not there when only a proxy answers", async () => {
    const { send } = server(() => new Response("bad gateway", { status: 502 }));
    const client = new Client("", send);
    await caught(client.get("/nodes"));
    expect(client.connection).toBe("unreachable");
  });
});

describe("a session in cookies", () => {
  it("shows no token to scripts and marks its writes", async () => {
    const { send, seen } = server(() => json(200, { access_token: "a", refresh_token: null }));
    const client = new Client("", send);
    await client.signIn("ada", "password1");
    await client.write("POST", "/nodes/a/drain");
    await client.get("/nodes");
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({ username: "ada", password: "password1", cookie: true });
    expect(seen.map((one) => one.headers["X-VCP-CSRF"])).toEqual(["1", "1", undefined]);
    expect(seen.every((one) => one.credentials === "same-origin" && !one.headers["Authorization"])).toBe(true);
  });
  it("is renewed once for requests that fail together, which are then asked again", async () => {
    let valid = false;
    const { send, seen } = server((one) => {
      if (one.url.endsWith("/auth/refresh")) {
        valid = true;
        return json(200, { access_token: "b", refresh_token: null });
      }
      return valid ? json(200, []) : json(401, { error: "unauthorized", message: "over" });
    });
    const client = new Client("", send);
    await Promise.all([client.get("/a"), client.get("/b"), client.get("/c")]);
    expect(seen.filter((one) => one.url.endsWith("/auth/refresh"))).toHaveLength(1);
    expect(seen).toHaveLength(7);
  });
  it("that cannot be renewed ends, without asking for ever", async () => {
    const { send, seen } = server(() => json(401, { error: "unauthorized", message: "over" }));
    const client = new Client("", send);
    let out = 0;
    client.onSignedOut = () => {
      out += 1;
    };
    expect((await caught(client.get("/nodes"))).status).toBe(401);
    expect(out).toBe(1);
    expect(seen.map((one) => one.url)).toEqual(["/api/v1/nodes", "/api/v1/auth/refresh"]);
  });
});

describe("a session with another coordinator", () => {
  it("lives in tokens that are sent with each request and rotated", async () => {
    const { send, seen } = server((one, count) => {
      if (one.url.endsWith("/auth/login")) return json(200, { access_token: "a1", refresh_token: "r1" });
      if (one.url.endsWith("/auth/refresh")) return json(200, { access_token: "a2", refresh_token: "r2" });
      return count === 2 ? json(401, { error: "unauthorized", message: "over" }) : json(200, [], { "X-Next-Cursor": "n" });
    });
    const client = new Client("https://other.example/", send);
    await client.signIn("ada", "password1");
    expect((await client.page("/nodes")).next).toBe("n");
    expect(seen.map((one) => one.url)).toEqual(
      ["login", "", "refresh", ""].map((auth) => `https://other.example/api/v1/${auth ? `auth/${auth}` : "nodes"}`),
    );
    expect(seen.map((one) => one.headers["Authorization"])).toEqual([undefined, "Bearer a1", "Bearer a1", "Bearer a2"]);
    expect(JSON.parse(seen[2]?.body ?? "")).toEqual({ refresh_token: "r1" });
    expect(seen.every((one) => one.credentials === "omit")).toBe(true);
    await client.signOut();
    expect(client.credentials(true).headers).toEqual({});
  });
});

describe("asked too often", () => {
  const limited = (seconds: string): Response =>
    json(429, { error: "rate_limited", message: "slow down" }, { "Retry-After": seconds });
  it("a look waits as long as it is told, a few times", async () => {
    const waits: number[] = [];
    const { send } = server((_, count) => (count < 3 ? limited("2") : json(200, [1])));
    const client = new Client("", send, async (milliseconds) => void waits.push(milliseconds));
    expect(await client.get("/nodes")).toEqual([1]);
    expect(waits).toEqual([2000, 2000]);
  });
  it("it gives up when it does not end, when the wait is long, or when it would write", async () => {
    for (const [seconds, method, asked] of [["2", "GET", 3], ["60", "GET", 1], ["2", "POST", 1], ["x", "GET", 1]] as const) {
      const { send, seen } = server(() => limited(seconds));
      const client = new Client("", send, async () => undefined);
      expect((await caught(client.raw(method, "/nodes"))).status).toBe(429);
      expect(seen).toHaveLength(asked);
    }
  });
});
