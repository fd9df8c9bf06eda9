import { createContext, useCallback, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { Client, Connection } from "../api/client";
import { asApiError, type ApiError } from "../api/errors";
import type { User } from "../api/types";
import type { Live } from "./live";

export interface App {
  client: Client;
  live: Live;
  user: User;
  isAdmin: boolean;
  say: (text: string) => void; // to the live region, for what changed without a new page
  signOut: () => void;
}
export const AppContext = createContext<App | null>(null);
export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("outside of a session");
  return app;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // typed by hand, with a lone %
  }
}
/** The part of the address behind '#', as path segments. */
export function useRoute(): string[] {
  const hash = useSyncExternalStore(
    (changed) => {
      window.addEventListener("hashchange", changed);
      return () => window.removeEventListener("hashchange", changed);
    },
    () => window.location.hash,
  );
  return hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
}
export function go(path: string): void {
  window.location.hash = path;
}
export function useConnection(client: Client): Connection {
  return useSyncExternalStore(client.watch, () => client.connection);
}
export function useIsLive(): boolean {
  const { live } = useApp();
  return useSyncExternalStore(live.watch, () => live.live);
}
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export const pollMs = 5_000; // while no events come
export const slowPollMs = 15_000; // while they do: ages and averages change without one
export const leastGapMs = 4_000; // between two looks that events ask for
export const watchedGapMs = 1_500; // at the one thing a page is about

export interface Resource<T> {
  data: T | null;
  next: string;
  error: ApiError | null;
  reload: () => void;
}

/** What GET `path` answers, kept fresh: by events of `topics`, else by asking again. */
export function useResource<T>(path: string | null, topics: readonly string[] = [], gapMs = leastGapMs): Resource<T> {
  const { client, live } = useApp();
  const [state, setState] = useState<{ path: string | null; data: T | null; next: string; error: ApiError | null }>({
    path: null,
    data: null,
    next: "",
    error: null,
  });
  const asked = useRef<() => void>(() => undefined);
  const wanted = topics.join(" ");
  useEffect(() => {
    if (path === null) return undefined;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = 0;
    let due = 0;
    const plan = (at: number): void => {
      if (timer !== undefined && due <= at) return;
      clearTimeout(timer);
      due = at;
      timer = setTimeout(() => void load(), Math.max(0, at - Date.now()));
    };
    const load = async (): Promise<void> => {
      clearTimeout(timer);
      timer = undefined;
      last = Date.now();
      let wait = live.live ? slowPollMs : pollMs;
      if (!document.hidden || last === 0) {
        try {
          const { body, next } = await client.page<T>(path, abort.signal);
          if (abort.signal.aborted) return;
          live.keep(path, body, next);
          setState({ path, data: body, next, error: null });
        } catch (cause) {
          if (abort.signal.aborted) return;
          const error = asApiError(cause);
          wait = Math.max(wait, (error.retryAfterSeconds ?? 0) * 1000);
          setState((before) => (before.path === path ? { ...before, error } : { path, data: null, next: "", error }));
        }
      }
      plan(Date.now() + wait);
    };
    const stop = live.listen((event) => {
      if (wanted.split(" ").includes(event.name)) plan(Math.max(Date.now() + 150, last + gapMs));
    });
    const seen = (): void => {
      if (!document.hidden) plan(Date.now());
    };
    document.addEventListener("visibilitychange", seen);
    asked.current = () => plan(Date.now());
    void load();
    return () => {
      abort.abort();
      clearTimeout(timer);
      stop();
      document.removeEventListener("visibilitychange", seen);
    };
  }, [client, live, path, wanted, gapMs]);
  const reload = useCallback(() => asked.current(), []);
  const current = state.path === path;
  const before = live.kept(path);
  return {
    data: (current ? state.data : null) ?? (before ? (before.body as T) : null),
    next: current && state.data ? state.next : (before?.next ?? ""),
    error: current ? state.error : null,
    reload,
  };
}

export interface Action<A extends unknown[]> {
  run: (...args: A) => void;
  busy: boolean;
  error: ApiError | null;
  clear: () => void;
}
/** Something a person starts: one at a time, its error beside it. */
export function useAction<A extends unknown[]>(work: (...args: A) => Promise<void>): Action<A> {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const running = useRef(false);
  const run = (...args: A): void => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setError(null);
    work(...args)
      .catch((cause: unknown) => setError(asApiError(cause)))
      .finally(() => {
        running.current = false;
        setBusy(false);
      });
  };
  return { run, busy, error, clear: () => setError(null) };
}
