import { useState, type FormEvent } from "react";
import type { Client, Connection } from "../api/client";
import { useAction } from "../lib/hooks";
import { Field, Problem } from "../ui/parts";
import { ApiBase } from "./account";

interface Props {
  client: Client;
  connection: Connection;
  onDone: () => Promise<void>;
}
const usernameHint = "3 to 32 letters, digits or _";

function Credentials(props: {
  name: string;
  password: string;
  fresh: boolean;
  onName: (value: string) => void;
  onPassword: (value: string) => void;
}) {
  return (
    <>
      <Field label="User name" {...(props.fresh ? { hint: usernameHint } : {})}>
        {(ids) => (
          <input
            {...ids}
            autoComplete="username"
            required
            minLength={3}
            maxLength={64}
            autoCapitalize="none"
            spellCheck={false}
            value={props.name}
            onChange={(event) => props.onName(event.target.value)}
          />
        )}
      </Field>
      <Field label="Password" {...(props.fresh ? { hint: "at least 8 characters" } : {})}>
        {(ids) => (
          <input
            {...ids}
            type="password"
            autoComplete={props.fresh ? "new-password" : "current-password"}
            required
            minLength={8}
            maxLength={128}
            value={props.password}
            onChange={(event) => props.onPassword(event.target.value)}
          />
        )}
      </Field>
    </>
  );
}

function Frame(props: { title: string; connection: Connection; children: React.ReactNode }) {
  return (
    <main className="gate">
      <p className="brand">
        <img src="/icon.svg" alt="" width="36" height="36" /> Ambient VCP
      </p>
      <h1>{props.title}</h1>
      {props.children}
      <p className="quiet" role="status">
        {props.connection === "unreachable" ? "Not connected to the coordinator" : "Connected to the coordinator"}
      </p>
      <details>
        <summary>Another coordinator</summary>
        <ApiBase />
      </details>
    </main>
  );
}

export function FirstAdmin({ client, connection, onDone }: Props) {
  const [code, setCode] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const action = useAction(async () => {
    await client.open("POST", "/auth/bootstrap", { code: code.trim(), username: name, password });
    await client.signIn(name, password);
    await onDone();
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    action.run();
  };
  return (
    <Frame title="Make the first administrator" connection={connection}>
      <p>
        This coordinator has no administrator yet. It prints a one-time code on its console when it starts; whoever has
        that code sets up the first account.
      </p>
      <form onSubmit={submit}>
        <Field label="One-time code" hint="from the console of the coordinator">
          {(ids) => (
            <input {...ids} required autoComplete="off" spellCheck={false} value={code} onChange={(event) => setCode(event.target.value)} />
          )}
        </Field>
        <Credentials name={name} password={password} fresh onName={setName} onPassword={setPassword} />
        <Problem error={action.error} />
        <button type="submit" className="primary" disabled={action.busy}>
          Make the account
        </button>
      </form>
    </Frame>
  );
}

export function SignIn({ client, connection, note, onDone }: Props & { note: string }) {
  const [fresh, setFresh] = useState(false);
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const action = useAction(async () => {
    if (fresh) await client.open("POST", "/auth/register", { username: name, password });
    await client.signIn(name, password);
    await onDone();
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    action.run();
  };
  return (
    <Frame title={fresh ? "Make an account" : "Sign in"} connection={connection}>
      {note && <p role="status">{note}</p>}
      <form onSubmit={submit}>
        <Credentials name={name} password={password} fresh={fresh} onName={setName} onPassword={setPassword} />
        <Problem error={action.error} />
        <button type="submit" className="primary" disabled={action.busy}>
          {fresh ? "Make the account" : "Sign in"}
        </button>
      </form>
      <button
        type="button"
        className="link"
        onClick={() => {
          setFresh(!fresh);
          action.clear();
        }}
      >
        {fresh ? "I have an account" : "I have no account yet"}
      </button>
    </Frame>
  );
}
