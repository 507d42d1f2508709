/**
 * Duty: every message of the fleet's protocol, by direction, as a schema. Pure.
 *
 *     agent                        controller
 *       hello      ------------->            who I am, which versions, a nonce
 *                  <-------------  challenge  the version, a nonce of its own
 *       proof      ------------->            all of the above, signed
 *                  <-------------  welcome    or `refused`, and the end
 *       report, events, results, pieces <--> noted, commands
 */
import { COMMAND_KINDS } from "./kinds.ts";
import {
  choice,
  count,
  FLAG,
  form,
  KEY,
  LABELS,
  list,
  NODE_ID,
  NONCE,
  NUMBER,
  type Of,
  open,
  orNull,
  record,
  SIGNATURE,
  text,
  TIME,
} from "./shape.ts";

/** Parts of a report, each replaced as a whole. */
export const SECTIONS = ["node", "health", "match", "update", "doctor"] as const;
export type SectionName = (typeof SECTIONS)[number];

const LIGHT = choice(["green", "yellow", "red", "unknown"]);
const SENTENCE = text(1000);
const VERSIONS = list(count(1000, 1), 8);
const SLOT = record({
  name: choice(["A", "B"]),
  state: choice(["good", "trial", "bad", "empty"]),
  version: orNull(text(64)),
  digest: orNull(text(64)),
  triesLeft: count(),
  booted: FLAG,
});
const UPDATE_REPORT = record({
  atMs: TIME,
  version: orNull(text(64)),
  digest: orNull(text(64)),
  outcome: choice(["installed", "good", "fell-back", "refused"]),
  reason: SENTENCE,
});

const NODE_SECTION = record({
  name: text(63),
  version: text(64),
  /** As configured on the node: claims, which the controller's own labels override. */
  labels: LABELS,
  /** Random for each start of the agent. */
  start: text(32),
  machine: text(128),
});
const HEALTH_SECTION = record({
  light: LIGHT,
  reason: SENTENCE,
  /** "unknown": no node answers the agent. */
  path: choice(["primary", "redundant", "redundant-2", "redundant-3", "wire", "block", "unknown"]),
  pathSinceMs: TIME,
  /** Null: it is safe to fail over now. Else why not. */
  unready: orNull(SENTENCE),
  /** Null: it does its work. */
  ill: orNull(SENTENCE),
  planeRestarts: count(),
  boxes: list(
    record({
      box: text(32),
      name: text(64),
      light: LIGHT,
      reason: SENTENCE,
      serving: FLAG,
      member: FLAG,
    }),
    16,
  ),
});
const MATCH_SECTION = record({
  /** The worst standby's share of flows it would carry on, 0..1; null: nothing is known. */
  share: orNull(NUMBER),
  reason: SENTENCE,
});
const UPDATE_SECTION = record({
  /** Null: there is an updater. Else why there is none. */
  without: orNull(SENTENCE),
  slots: list(SLOT, 4),
  installing: orNull(record({ version: orNull(text(64)), digest: text(64), percent: NUMBER })),
  /** The youngest last. */
  reports: list(UPDATE_REPORT, 16),
  badVersions: list(text(64), 256),
});
const DOCTOR_SECTION = record({
  findings: list(record({ topic: text(128), grade: text(16), text: SENTENCE }), 128),
  atMs: TIME,
});
const PARTS = {
  node: NODE_SECTION,
  health: HEALTH_SECTION,
  match: MATCH_SECTION,
  update: UPDATE_SECTION,
  doctor: DOCTOR_SECTION,
} as const;

/** What a node tells of itself; a whole report has all sections. */
export type Report = { readonly [S in SectionName]: Of<(typeof PARTS)[S]> };

const OUTCOME = choice(["done", "failed", "refused", "interrupted", "expired"]);
export type Outcome = Of<typeof OUTCOME>;

/** Of an event on its way; `kind` and `cause` are the node's words, of which later versions may have more. */
const EVENT = record({
  sequence: count(),
  wallMs: TIME,
  kind: text(32),
  cause: text(32),
  subject: text(128),
  text: SENTENCE,
});
export type FleetEvent = Of<typeof EVENT>;

export const PIECE_BYTES_MAX = 96 * 1024;
export const EVENTS_MAX = 100;

export const FROM_AGENT = {
  hello: record({
    versions: VERSIONS,
    /** Whom it is known by, or asks to become known by. */
    key: KEY,
    nonce: NONCE,
    name: text(63),
    /** A one-time token follows in the proof. */
    enrol: FLAG,
  }),
  proof: record({
    signature: SIGNATURE,
    token: orNull(form("^rft_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$", "a one-time token of the fleet")),
  }),
  report: record({
    sequence: count(Number.MAX_SAFE_INTEGER, 1),
    /** What it builds on; null: whole. Version 1 knows only whole reports. */
    base: orNull(count()),
    sections: record(PARTS, SECTIONS),
  }),
  events: record({ list: list(EVENT, EVENTS_MAX) }),
  progress: record({ command: count(), percent: orNull(NUMBER), text: SENTENCE }),
  result: record({
    command: count(Number.MAX_SAFE_INTEGER, 1),
    outcome: OUTCOME,
    text: SENTENCE,
    /** What the kind of command gives besides. */
    data: open(64),
    /** Of the file that was sent in pieces; null: there is none. */
    bytes: orNull(count()),
  }),
  /** Of a file that a command yields. */
  piece: record({
    command: count(Number.MAX_SAFE_INTEGER, 1),
    offset: count(),
    content: text(PIECE_BYTES_MAX * 4 / 3, "base64"),
  }),
  /** How much of this file is there? Since version 3. */
  resume: record({ command: count(Number.MAX_SAFE_INTEGER, 1) }),
  /** From now on another key: signed by the fresh one over `rotationText`; the old one is proven by the connection. */
  rotate: record({ key: KEY, signature: SIGNATURE }),
} as const;

export const FROM_CONTROLLER = {
  challenge: record({
    version: count(1000, 1),
    /** All it accepts, so that an agent can tell whether somebody took away the better one. */
    versions: VERSIONS,
    nonce: NONCE,
    /** Of the registry: stays when a controller is replaced, and is another one where all nodes have to enrol anew. */
    fleet: text(32),
  }),
  welcome: record({
    node: NODE_ID,
    /** The last report that is known here; another than the agent's own asks for a whole one. */
    report: count(),
    /** Of the last event that is known here. */
    event: count(),
    heartbeatS: count(3600, 1),
    nowMs: TIME,
  }),
  refused: record({
    code: choice([
      "version",
      "unknown",
      "revoked",
      "signature",
      "token",
      "malformed",
      "oversize",
      "replaced",
      "busy",
      "order",
    ]),
    text: SENTENCE,
    /** Not before; null: as usual. */
    retryS: orNull(count(86400)),
  }),
  /** What is kept for good, and need not be sent again. */
  noted: record({
    report: orNull(count()),
    event: orNull(count()),
    results: list(count(), 64),
    /** The delta did not fit: send a whole report. */
    whole: FLAG,
  }),
  command: record({
    /** Ascending by node. A number is carried out once, or never. */
    number: count(Number.MAX_SAFE_INTEGER, 1),
    kind: choice(COMMAND_KINDS),
    arguments: open(16),
    /** By the controller's clock: not begun after it. */
    expiresMs: TIME,
  }),
  rotated: record({ key: KEY }),
  /** Of a file's pieces, in their order from the beginning. */
  held: record({ command: count(Number.MAX_SAFE_INTEGER, 1), bytes: count() }),
} as const;

type Messages<T extends Readonly<Record<string, unknown>>> = {
  readonly [K in keyof T & string]: { readonly type: K } & Of<T[K]>;
}[keyof T & string];
export type AgentMessage = Messages<typeof FROM_AGENT>;
export type ControllerMessage = Messages<typeof FROM_CONTROLLER>;
export type Message<K extends (AgentMessage | ControllerMessage)["type"]> = Extract<
  AgentMessage | ControllerMessage,
  { readonly type: K }
>;
