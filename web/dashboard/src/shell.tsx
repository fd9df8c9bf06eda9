// The frame around every page.

import { useEffect, useRef } from "react";
import { useApp, useConnection, useIsLive, useRoute } from "./lib/hooks";
import { Admin } from "./pages/admin";
import { Credits } from "./pages/credits";
import { Events } from "./pages/events";
import { FleetMap } from "./pages/map";
import { NodePage } from "./pages/node";
import { Nodes } from "./pages/nodes";
import { Overview } from "./pages/overview";
import { Account } from "./pages/account";
import { Submit } from "./pages/submit";
import { TaskPage } from "./pages/task";
import { Tasks } from "./pages/tasks";
import { Empty } from "./ui/parts";

const pages = [
  ["", "Overview"],
  ["nodes", "Nodes"],
  ["tasks", "Tasks"],
  ["map", "Map"],
  ["credits", "Credits"],
  ["events", "Events"],
  ["account", "Account"],
] as const;

export function ConnectionBadge() {
  const { client } = useApp();
  const connection = useConnection(client);
  const live = useIsLive();
  const [text, tone] =
    connection === "unreachable"
      ? ["Not connected", "bad"]
      : connection === "unknown"
        ? ["Connecting", "quiet"]
        : live
          ? ["Connected, live", "good"]
          : ["Connected, asking every 5 s", "fair"];
  return (
    <span className={`connection ${tone}`} role="status">
      {text}
    </span>
  );
}

function Page({ route }: { route: string[] }) {
  const [name = "", id] = route;
  const { isAdmin } = useApp();
  if (name === "") return <Overview />;
  if (name === "nodes") return id ? <NodePage id={id} /> : <Nodes />;
  if (name === "tasks") return id === "new" ? <Submit /> : id ? <TaskPage id={id} /> : <Tasks />;
  if (name === "map") return <FleetMap />;
  if (name === "credits") return <Credits />;
  if (name === "events") return <Events />;
  if (name === "account") return <Account />;
  if (name === "admin" && isAdmin) return <Admin />;
  return (
    <>
      <h1>No such page</h1>
      <Empty title={`Nothing is at ${route.join("/")}.`}>
        <a className="button" href="#/">
          Go to the overview
        </a>
      </Empty>
    </>
  );
}

export function Shell() {
  const { user, isAdmin, signOut } = useApp();
  const route = useRoute();
  const main = useRef<HTMLElement>(null);
  const path = route.join("/");
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) {
      main.current?.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    first.current = false;
  }, [path]);
  const shown = isAdmin ? [...pages, ["admin", "Admin"] as const] : pages;
  return (
    <div className="shell">
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <header className="top">
        <a className="brand" href="#/">
          <img src="/icon.svg" alt="" width="28" height="28" />
          Ambient VCP
        </a>
        <ConnectionBadge />
        <span className="who">
          <span className="name">{user.username}</span>
          <button type="button" className="small" onClick={signOut}>
            Sign out
          </button>
        </span>
      </header>
      <nav aria-label="Pages">
        <ul>
          {shown.map(([name, label]) => (
            <li key={name}>
              <a href={`#/${name}`} aria-current={(route[0] ?? "") === name ? "page" : undefined}>
                {label}
              </a>
            </li>
          ))}
          <li className="out">
            <a href="/swagger-ui" target="_blank" rel="noreferrer">
              API
            </a>
          </li>
        </ul>
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        <Page key={path} route={route} />
      </main>
    </div>
  );
}
