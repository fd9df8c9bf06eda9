// Before the pages: which coordinator, whether it has an administrator, and who is asking.

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Client } from "./api/client";
import { asApiError, type ApiError } from "./api/errors";
import type { User } from "./api/types";
import { AppContext, useConnection } from "./lib/hooks";
import { Live } from "./lib/live";
import { apiOrigin } from "./lib/settings";
import { FirstAdmin, SignIn } from "./pages/sign-in";
import { Shell } from "./shell";
import { Problem, Waiting } from "./ui/parts";

type State =
  | { at: "asking"; error: ApiError | null }
  | { at: "first" }
  | { at: "sign-in"; note: string }
  | { at: "in"; user: User };

/** What stands in front of the pages. */
function Gate({ state, client, ask }: { state: State; client: Client; ask: () => Promise<void> }) {
  const connection = useConnection(client);
  return (
    <>
      {state.at === "asking" && (
        <main className="gate">
          <h1>Ambient VCP</h1>
          {state.error ? <Problem error={state.error} again={() => void ask()} /> : <Waiting />}
        </main>
      )}
      {state.at === "first" && <FirstAdmin client={client} connection={connection} onDone={ask} />}
      {state.at === "sign-in" && (
        <SignIn client={client} connection={connection} note={state.note} onDone={ask} />
      )}
    </>
  );
}

export function Entry() {
  const client = useMemo(() => new Client(apiOrigin()), []);
  const live = useMemo(() => new Live(client), [client]);
  const [state, setState] = useState<State>({ at: "asking", error: null });
  const [said, setSaid] = useState("");
  const ask = useCallback(async () => {
    try {
      const status = await client.open<{ admin_exists: boolean }>("GET", "/auth/status");
      if (!status.admin_exists) return setState({ at: "first" });
      setState({ at: "in", user: await client.get<User>("/auth/me") });
    } catch (cause) {
      const error = asApiError(cause);
      setState(error.status === 401 ? { at: "sign-in", note: "" } : { at: "asking", error });
    }
  }, [client]);
  const begun = useRef(false);
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    void ask();
  }, [ask]);
  const trouble = state.at === "asking" && state.error !== null;
  useEffect(() => {
    if (!trouble) return undefined;
    const timer = setInterval(() => void ask(), 5000);
    return () => clearInterval(timer);
  }, [trouble, ask]);
  const userId = state.at === "in" ? state.user.user_id : "";
  useEffect(() => {
    if (!userId) return undefined;
    client.onSignedOut = () => setState({ at: "sign-in", note: "Your session is over. Sign in again." });
    live.start();
    return () => {
      client.onSignedOut = () => undefined;
      live.end();
    };
  }, [client, live, userId]);
  const signOut = useCallback(() => {
    void client
      .signOut()
      .catch(() => undefined)
      .then(() => setState({ at: "sign-in", note: "You are signed out." }));
  }, [client]);
  const app = useMemo(
    () =>
      state.at === "in"
        ? { client, live, user: state.user, isAdmin: state.user.role === "admin", say: setSaid, signOut }
        : null,
    [client, live, state, signOut],
  );
  return (
    <>
      <div className="sr" role="status" aria-live="polite">
        {said}
      </div>
      <Gate state={state} client={client} ask={ask} />
      {app && (
        <AppContext.Provider value={app}>
          <Shell />
        </AppContext.Provider>
      )}
    </>
  );
}
