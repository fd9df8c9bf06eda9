import { useState, type FormEvent } from "react";
import { scopes, type ApiKey } from "../api/types";
import { clock } from "../lib/format";
import { useAction, useApp, useResource } from "../lib/hooks";
import { apiOrigin, keepApiOrigin, originOf } from "../lib/settings";
import { Badge, Confirm, Copy, Empty, Facts, Field, Panel, Problem, Table, Waiting } from "../ui/parts";

/** Which coordinator the pages ask; kept on this machine. */
export function ApiBase() {
  const [text, setText] = useState(apiOrigin());
  const origin = originOf(text);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (origin === null) return;
    keepApiOrigin(origin);
    window.location.reload();
  };
  return (
    <form onSubmit={submit}>
      <Field
        label="Address of the API"
        hint="Empty: the server that sent this page. Another coordinator must allow this page (CORS_ALLOWED_ORIGINS), and this server must name it (DASHBOARD_API_ORIGINS)."
        error={origin === null ? "This is no address like https://vcp.example.org" : undefined}
      >
        {(ids) => (
          <input {...ids} inputMode="url" placeholder={window.location.origin} spellCheck={false} value={text} onChange={(event) => setText(event.target.value)} />
        )}
      </Field>
      <button type="submit" disabled={origin === null}>
        Use this address
      </button>
    </form>
  );
}

function NewKey({ onDone }: { onDone: () => void }) {
  const { client, say, isAdmin } = useApp();
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<readonly string[]>(["tasks:read", "tasks:write"]);
  const [secret, setSecret] = useState("");
  const action = useAction(async () => {
    const made = await client.write<{ api_key: string }>("POST", "/auth/api-keys", { name, scopes: chosen });
    setSecret(made.api_key);
    setName("");
    say("The key is made");
    onDone();
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    action.run();
  };
  return (
    <form onSubmit={submit}>
      <Field label="Name of a new key" hint="what it is for">
        {(ids) => <input {...ids} required maxLength={64} value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <fieldset className="choice">
        <legend>It may</legend>
        {scopes
          .filter((scope) => scope !== "admin" || isAdmin)
          .map((scope) => (
            <label key={scope} className="check">
              <input
                type="checkbox"
                checked={chosen.includes(scope)}
                onChange={(event) => setChosen(event.target.checked ? [...chosen, scope] : chosen.filter((one) => one !== scope))}
              />
              {scope}
            </label>
          ))}
      </fieldset>
      <button type="submit" disabled={action.busy || chosen.length === 0}>
        Make a key
      </button>
      <Problem error={action.error} />
      {secret && (
        <div role="status">
          <p>This key is shown now and never again.</p>
          <Copy text={secret} label="Copy the key" />
        </div>
      )}
    </form>
  );
}

function Keys() {
  const { client, say } = useApp();
  const { data, error, reload } = useResource<ApiKey[]>("/auth/api-keys");
  const [asked, setAsked] = useState<ApiKey | null>(null);
  const action = useAction(async (key: ApiKey) => {
    await client.write("DELETE", `/auth/api-keys/${key.key_id}`);
    say(`${key.name} is revoked`);
    setAsked(null);
    reload();
  });
  const rows = data ?? [];
  return (
    <Panel title="API keys">
      <p className="hint">For programs: sent in the header X-API-Key.</p>
      <Problem error={error} again={reload} />
      {!data && !error && <Waiting rows={1} />}
      {data && rows.length === 0 && <Empty title="You have no key." />}
      {rows.length > 0 && (
        <Table
          name="API keys"
          columns={["Name", "Begins", "May", "Made", "Last used", "End"]}
          rows={rows.map((key) => ({
            key: key.key_id,
            cells: [
              key.name,
              <code>{key.prefix}…</code>,
              <span className="badges">
                {key.scopes.map((scope) => (
                  <Badge key={scope} text={scope} tone="quiet" />
                ))}
              </span>,
              clock(key.created_at),
              key.last_used_at ? clock(key.last_used_at) : "never",
              <button type="button" className="small danger" onClick={() => setAsked(key)}>
                Revoke
              </button>,
            ],
          }))}
        />
      )}
      <NewKey onDone={reload} />
      {asked && (
        <Confirm
          title={`Revoke ${asked.name}?`}
          text="Programs that use it are refused from now on. This cannot be undone."
          action="Revoke"
          danger
          busy={action.busy}
          error={action.error}
          onYes={() => action.run(asked)}
          onNo={() => setAsked(null)}
        />
      )}
    </Panel>
  );
}

export function Account() {
  const { user, signOut } = useApp();
  return (
    <>
      <div className="heading">
        <h1>Account</h1>
        <button type="button" onClick={signOut}>
          Sign out
        </button>
      </div>
      <Panel title="You">
        <Facts
          rows={[
            ["User name", user.username],
            ["Role", user.role],
            ["Id", <code>{user.user_id}</code>],
          ]}
        />
      </Panel>
      <Keys />
      <Panel title="Settings">
        <ApiBase />
      </Panel>
      <p className="hint">
        <a href="/third-party.txt">Licences of what these pages contain</a>
      </p>
    </>
  );
}
