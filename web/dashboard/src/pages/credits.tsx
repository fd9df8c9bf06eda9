import { useState } from "react";
import type { Balance, LedgerEntry } from "../api/types";
import { clock, credits, number, short } from "../lib/format";
import { useAction, useApp, useResource } from "../lib/hooks";
import { checkChain, type ChainCheck } from "../lib/ledger";
import { Badge, Empty, Panel, Problem, Stat, Table, Waiting } from "../ui/parts";
import { Pager, query, usePages } from "./nodes";

function Check({ check, what }: { check: ChainCheck; what: string }) {
  return (
    <p role="status" className={check.fault ? "wrong" : ""}>
      {check.fault ? <Badge text="broken" tone="bad" /> : <Badge text="the chain holds" tone="good" />}{" "}
      {check.fault || `${what}: ${number(check.checked)} hashes computed again here, ${number(check.links)} links between neighbours.`}
    </p>
  );
}

/** The whole ledger, computed again in this browser. */
function WholeChain() {
  const { client } = useApp();
  const [check, setCheck] = useState<ChainCheck | null>(null);
  const action = useAction(async () => {
    const response = await client.raw("GET", "/ledger/export");
    const lines = (await response.text()).split("\n").filter(Boolean);
    const entries = lines.map((line) => JSON.parse(line) as LedgerEntry);
    const found = checkChain(entries);
    const gap = entries.findIndex((entry, at) => entry.sequence !== at + 1);
    setCheck(gap < 0 || found.fault ? found : { ...found, fault: `Entry ${gap + 1} is missing.` });
  });
  return (
    <Panel title="The whole ledger">
      <p>Fetches every entry of every account and computes each hash again.</p>
      <button type="button" disabled={action.busy} onClick={() => action.run()}>
        Check the whole chain
      </button>
      <Problem error={action.error} />
      {check && <Check check={check} what="All accounts" />}
    </Panel>
  );
}

export function Credits() {
  const { isAdmin } = useApp();
  const balance = useResource<Balance>("/credits", ["ledger"]);
  const pages = usePages();
  const { data, error, next, reload } = useResource<LedgerEntry[]>(`/credits/entries?${query({}, pages.after, 50)}`, ["ledger"]);
  const mine = balance.data?.account ?? "";
  const escrowed = (data ?? []).filter((entry) => entry.kind === "escrow").length;
  return (
    <>
      <h1>Credits</h1>
      <Problem error={balance.error} again={balance.reload} />
      <dl className="stats">
        <Stat name="Balance" value={balance.data ? credits(balance.data.balance) : null} note={mine && <code title={mine}>{short(mine, 16)}</code>} />
        <Stat name="Entries shown" value={data ? number(data.length) : null} note={`${number(escrowed)} put in escrow`} />
      </dl>
      <Panel title="Entries of your account">
        <Problem error={error} again={reload} />
        {data && data.length > 0 && <Check check={checkChain(data)} what="Your entries" />}
        {!data && !error && <Waiting />}
        {data?.length === 0 && (
          <Empty title="Nothing was booked yet.">
            <p>Credits are put in escrow when you submit a task, and earned by nodes you own.</p>
          </Empty>
        )}
        {data && data.length > 0 && (
          <Table
            name="Ledger entries"
            columns={["Nr", "When", "Kind", "Amount", "From", "To", "About", "Hash"]}
            rows={data.map((entry) => ({
              key: String(entry.sequence),
              cells: [
                number(entry.sequence),
                clock(entry.at),
                <Badge text={entry.kind} tone="quiet" />,
                <span className={entry.from === mine ? "minus" : "plus"}>
                  {entry.from === mine ? "−" : "+"}
                  {credits(entry.amount)}
                </span>,
                <span title={entry.from}>{short(entry.from, 14)}</span>,
                <span title={entry.to}>{short(entry.to, 14)}</span>,
                <span title={entry.reference}>{short(entry.reference, 10)}</span>,
                <code title={entry.hash}>{short(entry.hash, 10)}</code>,
              ],
            }))}
          />
        )}
        <Pager pages={pages} next={next} />
      </Panel>
      {isAdmin && <WholeChain />}
    </>
  );
}
