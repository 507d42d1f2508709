/**
 * The few pieces that all pages are made of: live values, lights, cards, facts, tables, ways to an action. Pure.
 */
import type { Child } from "hono/jsx";
import { type LiveValues, UNKNOWN } from "./live.ts";
import { type ActionName, ACTIONS } from "./actions.ts";
import { may, type Visitor } from "../session.ts";

/** A value that is kept up to date. */
export function Value({ of, name, class: kind }: { of: LiveValues; name: string; class?: string }) {
  return <span class={kind ?? "v"} data-t={name}>{of[name] ?? UNKNOWN}</span>;
}

/** A light: shape, colour and word. `off` where there is nothing to say. */
export function Light({ of, name, word }: { of: LiveValues; name: string; word?: string }) {
  const state = of[name] ?? "off";
  return (
    <span class="light" data-s={name} data-state={state}>
      {word === undefined ? <span data-t={name}>{state}</span> : word}
    </span>
  );
}

/** A light that stays as it is. */
export function FixedLight({ state, word }: { state: string; word?: string }) {
  return <span class="light" data-state={state}>{word ?? state}</span>;
}

interface CardProps {
  readonly id: string;
  readonly title: string;
  readonly note?: string | undefined;
  readonly children?: Child;
  /** Milliseconds after which it is fetched anew; 0: only when its shape changes. */
  readonly everyMs?: number;
  readonly wide?: boolean;
}

/** A titled part of a page, which can be fetched anew by itself. */
export function Card({ id, title, note, children, everyMs = 0, wide = false }: CardProps) {
  return (
    <section id={id} class={wide ? "card wide" : "card"} data-part={everyMs} aria-labelledby={`${id}-title`}>
      <header class="card-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {note ? <p class="note">{note}</p> : null}
      </header>
      {children}
    </section>
  );
}

export type Fact = readonly [name: string, value: Child];

export function Facts({ rows }: { rows: readonly Fact[] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export interface Column {
  readonly head: string;
  readonly number?: boolean;
}

interface TableProps {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Child[])[];
  /** Instead of no rows. */
  readonly empty: string;
}

/** With more columns a row stands upright on a narrow screen. */
const MANY = 4;

/** The first cell of a row names it. What is too wide scrolls in a frame of its own. */
export function Table({ name, columns, rows, empty }: TableProps) {
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  const kind = (index: number) => columns[index]?.number ? "n" : undefined;
  return (
    <div
      class={columns.length > MANY ? "scroll many" : "scroll"}
      role="region"
      aria-label={name}
      tabindex={0}
    >
      <table>
        <thead>
          <tr>
            {columns.map(({ head, number }) => <th scope="col" class={number ? "n" : undefined}>{head}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              {row.map((cell, index) =>
                index === 0
                  ? <th scope="row">{cell}</th>
                  : (
                    <td class={kind(index)} data-head={columns[index]?.head}>
                      <span class="cell">{cell}</span>
                    </td>
                  )
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface OfferProps {
  readonly visitor: Visitor;
  readonly action: ActionName;
  readonly fields?: Readonly<Record<string, string>>;
  readonly label?: string;
}

/** The way to an action; nothing where the visitor may not take it. It always asks first. */
export function Offer({ visitor, action, fields = {}, label }: OfferProps) {
  const { role, label: usual } = ACTIONS[action];
  if (!may(visitor, role)) return null;
  const query = new URLSearchParams(fields).toString();
  return (
    <a class="button" href={`/act/${action}${query === "" ? "" : `?${query}`}`} data-dialog>
      {label ?? usual}
    </a>
  );
}

export function Csrf({ visitor }: { visitor: Visitor }) {
  return <input type="hidden" name="csrf" value={visitor.csrf ?? ""} />;
}

/** What came of something, where a screen reader hears it. */
export function Result({ ok, text }: { ok: boolean; text: string }) {
  return (
    <p class="result" data-ok={String(ok)} role={ok ? "status" : "alert"}>
      <FixedLight state={ok ? "green" : "red"} word={ok ? "Done" : "Refused"} />{" "}
      <span class="pre">{text}</span>
    </p>
  );
}
