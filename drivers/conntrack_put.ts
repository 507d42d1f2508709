/**
 * Duty: flows into the kernel's connection tracking, batch by batch.
 *
 * First all are made as if none was there. What is there already is asked for: if it has the same NAT it is brought up to
 * date, else it goes and is made anew in the same batch, for NAT cannot be changed. A kernel that lacks a flow's helper,
 * labels or master gets the flow without them: without it the connection would end for certain.
 */
import { ALL_EXTRAS, readFlow, TYPE, writeChange, writeNamed, writeNew } from "./netlink/conntrack.ts";
import type { Exchange } from "./netlink/exchange.ts";
import { type Flow, sameTuple, type Tuple } from "./netlink/flow.ts";
import { ERRNO, errnoText } from "./netlink/socket.ts";

export interface PutOptions {
  /** What to do with a flow that is there already. */
  readonly existing: "replace" | "keep";
  /** Sequence numbers of what is put are not held against windows. */
  readonly liberal: boolean;
}

/** What became of one flow. */
export type Outcome =
  | { readonly did: "made" | "changed" | "replaced" | "reduced" | "kept" }
  | { readonly did: "refused"; readonly reason: string };

const done = (did: "made" | "changed" | "replaced" | "reduced" | "kept"): Outcome => ({ did });
const refusal = (reason: string): Outcome => ({ did: "refused", reason });

function reasonOf(errno: number, flow: Flow): string {
  if (errno === ERRNO.EEXIST) return "another flow of the box has its reply direction";
  if (errno === ERRNO.ENOMEM) return "the box's table of flows is full";
  if (errno === ERRNO.EOPNOTSUPP && flow.zone !== 0) return "the box's kernel has no zones, or not that NAT";
  if (errno === ERRNO.EOPNOTSUPP) return "the box's kernel has not its protocol or NAT";
  return errnoText(errno);
}

const OPTIONAL = new Set<number>([ERRNO.EOPNOTSUPP, ERRNO.ENOSPC, ERRNO.ENOENT, ERRNO.EINVAL]);
const hasOptional = (flow: Flow) => flow.helper !== "" || flow.labels.length > 0 || flow.master !== null;
const bare = (flow: Flow): Flow => ({ ...flow, helper: "", labels: new Uint8Array(), master: null });

/** Puts flows that are each there once. One batch: at most BATCH_MESSAGES_MAX. @throws Error when nothing can be put at all */
export function putFlows(exchange: Exchange, flows: readonly Flow[], options: PutOptions): Outcome[] {
  const outcomes: Outcome[] = flows.map(() => done("made"));
  const refused = makeAll(exchange, flows, options);
  const denied = [...refused.values()].find((errno) => errno === ERRNO.EPERM);
  if (denied !== undefined) throw new Error(`Cannot put flows: ${errnoText(denied)}`);
  const there: number[] = [];
  for (const [place, errno] of refused) {
    const flow = flows[place]!;
    if (errno === ERRNO.EEXIST && options.existing === "keep") outcomes[place] = done("kept");
    else if (errno === ERRNO.EEXIST) there.push(place);
    else if (OPTIONAL.has(errno) && hasOptional(flow)) outcomes[place] = makeBare(exchange, flow, options);
    else outcomes[place] = refusal(reasonOf(errno, flow));
  }
  if (there.length > 0) putExisting(exchange, { flows, places: there, outcomes }, options);
  return outcomes;
}

function makeAll(
  exchange: Exchange,
  flows: readonly Flow[],
  { liberal }: PutOptions,
): ReadonlyMap<number, number> {
  const extras = { ...ALL_EXTRAS, liberal };
  return exchange.send(
    flows.length,
    (writer, sequence, place) => writeNew(writer, sequence, flows[place]!, extras),
  )
    .refused;
}

function makeBare(exchange: Exchange, flow: Flow, options: PutOptions): Outcome {
  const errno = makeAll(exchange, [bare(flow)], options).get(0);
  return errno === undefined ? done("reduced") : refusal(reasonOf(errno, flow));
}

interface Existing {
  readonly flows: readonly Flow[];
  /** Which of them. */
  readonly places: readonly number[];
  readonly outcomes: Outcome[];
}

const named = ({ original, zone }: Flow) => ({ tuple: original, zone });

/** What answers now, by place, of those flows that are there. One batch at most. */
export function flowsThere(exchange: Exchange, flows: readonly Flow[]): Map<number, Tuple> {
  const replies = new Map<number, Tuple>();
  exchange.send(
    flows.length,
    (writer, sequence, place) => writeNamed(writer, TYPE.get, sequence, named(flows[place]!)),
    (place, body) => {
      const flow = readFlow(body);
      // The kernel finds by either direction.
      if (flow && sameTuple(flow.original, flows[place]!.original)) replies.set(place, flow.reply);
    },
  );
  return replies;
}

function putExisting(exchange: Exchange, existing: Existing, { liberal }: PutOptions): void {
  const { flows, places, outcomes } = existing;
  const extras = { ...ALL_EXTRAS, liberal };
  const there = flowsThere(exchange, places.map((place) => flows[place]!));
  const now = new Map([...there].map(([i, reply]) => [places[i]!, reply]));
  const isSame = (place: number) => {
    const reply = now.get(place);
    return reply !== undefined && sameTuple(reply, flows[place]!.reply);
  };
  const change = places.filter(isSame), replace = places.filter((place) => now.has(place) && !isSame(place));
  const changes = exchange.send(
    change.length,
    (writer, sequence, i) => writeChange(writer, sequence, flows[change[i]!]!, extras),
  ).refused;
  const replaces = exchange.send(2 * replace.length, (writer, sequence, i) => {
    const flow = flows[replace[i >> 1]!]!;
    if (i % 2 === 0) writeNamed(writer, TYPE.delete, sequence, named(flow));
    else writeNew(writer, sequence, flow, extras);
  }).refused;
  const tell = (place: number, errno: number | undefined, did: "changed" | "replaced") =>
    outcomes[place] = errno === undefined ? done(did) : refusal(reasonOf(errno, flows[place]!));
  for (const [i, place] of change.entries()) tell(place, changes.get(i), "changed");
  for (const [i, place] of replace.entries()) tell(place, replaces.get(2 * i + 1), "replaced");
  // Not to be found by its own direction: it was the other one that is taken.
  for (const place of places) {
    if (!now.has(place)) outcomes[place] = refusal(reasonOf(ERRNO.EEXIST, flows[place]!));
  }
}
