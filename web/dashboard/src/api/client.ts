// Requests to one coordinator. With the coordinator that sent the page, the session is two HttpOnly
// cookies that no script can read; with another one (Settings), tokens live in this object only and
// are gone with the tab.

import { ApiError, errorOf, unreachable } from "./errors";

export type Connection = "unknown" | "connected" | "unreachable";
export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

interface Tokens {
  access: string;
  refresh: string;
}
export interface Answer<T> {
  body: T;
  next: string; // cursor of the next page; empty at the end
}

const attemptsMax = 3;
const waitSecondsMax = 10;
const csrf = { "X-VCP-CSRF": "1" };

export class Client {
  readonly base: string;
  private readonly cookies: boolean;
  private tokens: Tokens | null = null;
  private refreshing: Promise<boolean> | null = null;
  private state: Connection = "unknown";
  private readonly watchers = new Set<() => void>();
  /** Called when the session is over and cannot be renewed. */
  onSignedOut: () => void = () => undefined;

  constructor(
    origin: string,
    private readonly send: Fetch = (input, init) => fetch(input, init),
    private readonly wait: (milliseconds: number) => Promise<void> = (milliseconds) =>
      new Promise((done) => setTimeout(done, milliseconds)),
  ) {
    this.base = `${origin.replace(/\/+$/, "")}/api/v1`;
    this.cookies = origin === "";
  }

  get connection(): Connection {
    return this.state;
  }
  watch = (changed: () => void): (() => void) => {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  };
  private note(state: Connection): void {
    if (state === this.state) return;
    this.state = state;
    this.watchers.forEach((changed) => changed());
  }

  /** Headers and mode of an authenticated request, for those that are not made here. */
  credentials(write: boolean): { headers: Record<string, string>; credentials: RequestCredentials } {
    if (this.cookies) return { headers: write ? { ...csrf } : {}, credentials: "same-origin" };
    const headers: Record<string, string> = {};
    if (this.tokens) headers["Authorization"] = `Bearer ${this.tokens.access}`;
    return { headers, credentials: "omit" };
  }

  /** One exchange; says whether the coordinator is reached by what came back. */
  private async exchange(method: string, path: string, init: RequestInit): Promise<Response> {
    const own = this.credentials(method !== "GET");
    const headers = { ...own.headers, ...(init.headers as Record<string, string> | undefined) };
    try {
      const response = await this.send(this.base + path, {
        ...init,
        method,
        headers,
        credentials: own.credentials,
        cache: "no-store",
      });
      // 502–504 come from what stands in front of a coordinator that is not there.
      this.note(response.status >= 502 && response.status <= 504 ? "unreachable" : "connected");
      return response;
    } catch (cause) {
      if (init.signal?.aborted) throw cause;
      this.note("unreachable");
      throw unreachable(cause);
    }
  }

  /** As `exchange`, asking again when it was asked too often and the wait is short. */
  private async patient(method: string, path: string, init: RequestInit): Promise<Response> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.exchange(method, path, init);
      const seconds = Number(response.headers.get("Retry-After") ?? "");
      const soon = seconds > 0 && seconds <= waitSecondsMax && attempt < attemptsMax;
      if (method !== "GET" || response.status !== 429 || !soon) return response;
      await this.wait(seconds * 1000);
      if (init.signal?.aborted) return response;
    }
  }

  /** As `exchange`, renewing the session once when it is over. Errors: ApiError. */
  async raw(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    let response = await this.patient(method, path, init);
    if (response.status === 401 && (await this.renew())) {
      response = await this.patient(method, path, init);
    }
    if (response.ok) return response;
    const error = errorOf(response.status, await response.text(), response.headers.get("Retry-After"));
    if (response.status === 401) this.onSignedOut();
    throw error;
  }

  async page<T>(path: string, signal?: AbortSignal): Promise<Answer<T>> {
    const response = await this.raw("GET", path, signal ? { signal } : {});
    return { body: (await response.json()) as T, next: response.headers.get("X-Next-Cursor") ?? "" };
  }
  async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return (await this.page<T>(path, signal)).body;
  }
  async write<T>(method: string, path: string, body?: unknown, headers = {}): Promise<T> {
    const init: RequestInit =
      body === undefined
        ? { headers }
        : { body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
    const response = await this.raw(method, path, init);
    const text = await response.text();
    return (text ? JSON.parse(text) : null) as T;
  }

  /** Several requests that fail together ask for one renewal only. */
  renew(): Promise<boolean> {
    this.refreshing ??= this.refresh().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }
  private async refresh(): Promise<boolean> {
    if (!this.cookies && !this.tokens) return false;
    const body = this.cookies ? {} : { refresh_token: this.tokens?.refresh ?? "" };
    const response = await this.exchange("POST", "/auth/refresh", this.json(body)).catch(() => null);
    if (!response?.ok) return false;
    if (!this.cookies) this.keep(await response.json());
    return true;
  }
  private json(body: unknown): RequestInit {
    return { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  }
  private keep(said: unknown): void {
    const { access_token: access, refresh_token: refresh } = said as Record<string, unknown>;
    if (typeof access !== "string" || typeof refresh !== "string") {
      throw new ApiError(0, "unexpected", "The coordinator's sign-in answer has no tokens.");
    }
    this.tokens = { access, refresh };
  }

  async signIn(username: string, password: string): Promise<void> {
    const body = { username, password, ...(this.cookies ? { cookie: true } : {}) };
    const response = await this.exchange("POST", "/auth/login", this.json(body));
    const text = await response.text();
    if (!response.ok) throw errorOf(response.status, text, response.headers.get("Retry-After"));
    if (!this.cookies) this.keep(JSON.parse(text));
  }
  async signOut(): Promise<void> {
    this.onSignedOut = () => undefined;
    try {
      await this.raw("POST", "/auth/logout");
    } finally {
      this.tokens = null;
    }
  }
  /** Without an account: who nobody is yet. Errors: ApiError. */
  async open<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.patient(method, path, body === undefined ? {} : this.json(body));
    const text = await response.text();
    if (!response.ok) throw errorOf(response.status, text, response.headers.get("Retry-After"));
    return JSON.parse(text) as T;
  }
}
