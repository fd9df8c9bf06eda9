// The small parts every page is made of.

import { Fragment, useEffect, useId, useRef, useState, type ReactNode } from "react";
import type { ApiError } from "../api/errors";
import { healthTone, number, stateTone, words, type Tone } from "../lib/format";

export function Badge({ text, tone }: { text: string; tone?: Tone }) {
  return <span className={`badge ${tone ?? stateTone(text)}`}>{words(text)}</span>;
}

export function Problem({ error, again }: { error: ApiError | null; again?: () => void }) {
  if (!error) return null;
  return (
    <div className="problem" role="alert">
      <p className="what">{error.message}</p>
      {error.details.length > 0 && (
        <ul>
          {error.details.map((one) => (
            <li key={one.field + one.message}>
              <b>{one.field}</b>: {one.message}
            </li>
          ))}
        </ul>
      )}
      {error.hint && <p className="hint">{error.hint}</p>}
      {error.retryAfterSeconds !== null && (
        <p className="hint">It may be asked again in {error.retryAfterSeconds} s.</p>
      )}
      {again && (
        <button type="button" className="small" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="title">{title}</p>
      {children}
    </div>
  );
}

export function Waiting({ rows = 3 }: { rows?: number }) {
  return (
    <div className="waiting" aria-busy="true">
      <span className="sr">Loading</span>
      {Array.from({ length: rows }, (_, at) => (
        <span key={at} className="bone" />
      ))}
    </div>
  );
}

export function Panel(props: { title: string; side?: ReactNode; className?: string; children: ReactNode }) {
  const id = useId();
  return (
    <section className={`panel ${props.className ?? ""}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{props.title}</h2>
        {props.side && <div className="side">{props.side}</div>}
      </header>
      {props.children}
    </section>
  );
}

/** 0 … 100 as a bar with its figure. */
export function HealthBar({ score }: { score: number }) {
  const value = Math.min(100, Math.max(0, score));
  return (
    <span className={`bar ${healthTone(value)}`}>
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect className="track" width="100" height="8" rx="2" />
        <rect className="fill" width={value} height="8" rx="2" />
      </svg>
      <span className="figure">{number(score, 1)}</span>
    </span>
  );
}

export function Stat({ name, value, note }: { name: string; value: string | null; note?: ReactNode }) {
  return (
    <div className="stat">
      <dt>{name}</dt>
      <dd>
        <span className="value">{value ?? <span className="bone" />}</span>
        <span className="note">{note ?? "\u00a0"}</span>
      </dd>
    </div>
  );
}

export function Facts({ rows }: { rows: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const [said, setSaid] = useState("");
  const field = useRef<HTMLPreElement>(null);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      // Browsers give the clipboard to pages of HTTPS or of this machine only.
      if (field.current) window.getSelection()?.selectAllChildren(field.current);
      setSaid("Selected: press Ctrl+C");
    }
  };
  return (
    <div className="copy">
      <pre ref={field} tabIndex={0} aria-label={label}>
        {text.split(" ").map((word, at) => (
          <Fragment key={at}>
            {at > 0 && " "}
            <span>{word}</span>
          </Fragment>
        ))}
      </pre>
      <button type="button" onClick={() => void copy()}>
        {label}
      </button>
      <span role="status">{said}</span>
    </div>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  error?: string | undefined;
  children: (ids: { id: string; "aria-describedby": string | undefined; "aria-invalid": boolean }) => ReactNode;
}
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const about = [hint && `${id}h`, error && `${id}e`].filter(Boolean).join(" ") || undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": about, "aria-invalid": Boolean(error) })}
      {hint && (
        <p className="hint" id={`${id}h`}>
          {hint}
        </p>
      )}
      {error && (
        <p className="wrong" id={`${id}e`}>
          {error}
        </p>
      )}
    </div>
  );
}

/** A modal of the browser's own: focus stays within, Escape closes, focus returns. */
export function Dialog(props: { title: string; onClose: () => void; children: ReactNode; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      className={props.wide ? "wide" : ""}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
    >
      <header>
        <h2 id={id}>{props.title}</h2>
        <button type="button" className="close" aria-label="Close" onClick={props.onClose}>
          ×
        </button>
      </header>
      {props.children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  action: string;
  danger?: boolean;
  busy: boolean;
  error: ApiError | null;
  onYes: () => void;
  onNo: () => void;
}
export function Confirm(props: ConfirmProps) {
  return (
    <Dialog title={props.title} onClose={props.onNo}>
      <p>{props.text}</p>
      <Problem error={props.error} />
      <div className="buttons">
        <button type="button" onClick={props.onNo}>
          Keep as it is
        </button>
        <button type="button" className={props.danger ? "danger" : "primary"} disabled={props.busy} onClick={props.onYes}>
          {props.action}
        </button>
      </div>
    </Dialog>
  );
}

/** A table with a name; on a phone each row becomes a card whose cells carry their column's name. */
export function Table(props: {
  name: string;
  columns: readonly string[];
  rows: readonly { key: string; cells: readonly ReactNode[] }[];
}) {
  return (
    <div className="table">
      <table aria-label={props.name}>
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map(({ key, cells }) => (
            <tr key={key} data-key={key}>
              {cells.map((cell, at) =>
                at === 0 ? (
                  <th key={at} scope="row">
                    {cell}
                  </th>
                ) : (
                  <td key={at} data-column={props.columns[at]}>
                    {cell}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function download(name: string, bytes: Uint8Array | string): void {
  const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
