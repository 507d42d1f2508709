/**
 * From the board to what people see. Pure: a board and the present time go in, views come out.
 *
 * The plane writes while this reads. Counters may be a frame apart and a flow may change its owner in the middle; nobody
 * acts on these views, so that is accepted rather than paid for with locks.
 */
import type { Board } from "../filter/board.ts";
import { readChannel } from "./channel_view.ts";
import { CAUSE, EVENT_KIND, LIGHT, POLL, STATE } from "../filter/names.ts";
import { readBfd } from "./bfd_view.ts";
import { judgeNode, readBox } from "./box_view.ts";
import {
  ALL_ROLES,
  type Box,
  BOXES,
  type CheckView,
  type CounterView,
  type DampingView,
  type DrillSummary,
  type EventView,
  type NodeStatus,
  type Path,
  PATHS,
  type PortView,
  type Role,
  rolesOfBox,
  type WorkerView,
} from "./view.ts";

const NS_PER_MS = 1e6;
const NO_CPU = 0xffffffff;
/** Events come in bursts of a few; more than this many in a row would be a storm. */
const READS_MAX = 4;

/** The present, in both clocks of the board. */
export interface Now {
  readonly monoNs: number;
  readonly wallMs: number;
}

/** What the board does not know. */
export interface Surroundings {
  readonly name: string;
  readonly version: string;
  /** Of the ports there are. */
  readonly specs: Readonly<Partial<Record<Role, string>>>;
  /** Names of boxes that have one of their own. */
  readonly names?: Readonly<Partial<Record<Box, string>>>;
  readonly planeRestarts: number;
  /** Share of a core since the last reading, 0..1, of each of the plane's workers. */
  readonly cpu: readonly number[];
  readonly lastSwitch: EventView | null;
  readonly lastDrill: DrillSummary | null;
  /** What is held against a box; absent: nothing is. */
  readonly damping?: (box: Box) => DampingView | null;
  /** Why the checks of a box say what they say; absent: the light alone tells. */
  readonly checkReason?: (box: Box) => string | null;
  /** Is the match of a box so bad that it was told? Absent: of none. */
  readonly unlike?: (box: Box) => boolean;
  readonly checks?: readonly CheckView[];
  /** Of a failback by itself. */
  readonly failback: NodeStatus["failback"];
  readonly external: NodeStatus["external"];
}

const wallMs = (now: Now, monoNs: number) => Math.round(now.wallMs - (now.monoNs - monoNs) / NS_PER_MS);
/** Three digits after the point are more than anybody reads. */
const rounded = (value: number) => Math.round(value * 1000) / 1000;

export function readPath(board: Board): Path {
  return PATHS[board.number("live.path")] ?? "block";
}

function mac(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 6)].map((b) => b.toString(16).padStart(2, "0")).join(":");
}

function readPorts(board: Board, specs: Surroundings["specs"]): PortView[] {
  const there = ALL_ROLES.flatMap((role, i) =>
    specs[role] === undefined ? [] : [{ role, i, spec: specs[role] }]
  );
  return there.map(({ role, i, spec }) => ({
    role,
    spec,
    driver: board.text("port.driver", i),
    mac: mac(board.bytes("port.mac", i)),
    mtu: board.number("port.mtu", i),
    link: board.number("port.link", i) === 1 ? "up" : "down",
    taken: board.number("port.taken", i) === 1,
    linkChanges: board.number("port.link_changes", i),
    rxPackets: board.number("port.rx_packets", i),
    rxBytes: board.number("port.rx_bytes", i),
    txPackets: board.number("port.tx_packets", i),
    txBytes: board.number("port.tx_bytes", i),
    txFull: board.number("port.tx_full", i),
    rxMissed: board.number("port.rx_missed", i),
    mirroredPackets: board.number("port.mirrored_packets", i),
    mirroredBytes: board.number("port.mirrored_bytes", i),
    ...(board.number("channel.present", i) === 1 && { channel: readChannel(board, i) }),
  }));
}

function readWorkers(board: Board, shares: readonly number[]): WorkerView[] {
  return Array.from({ length: board.number("live.workers") }, (_, i) => {
    const cpu = board.number("worker.cpu", i), ports = board.number("worker.ports", i);
    return {
      cpu: cpu === NO_CPU ? null : cpu,
      ports: ALL_ROLES.filter((_, role) => (ports >> role & 1) === 1),
      queue: board.number("worker.queue", i),
      polling: POLL[board.number("worker.poll", i)] ?? "sleep",
      share: shares[i] ?? 0,
      loopMaxUs: board.number("worker.loop_ns_max", i) / 1000,
      rxPackets: board.number("worker.rx_packets", i),
      txPackets: board.number("worker.tx_packets", i),
    };
  });
}

function readNamed(board: Board, label: string): CounterView[] {
  const views: CounterView[] = [];
  for (let i = 0; i < board.count(`${label}.name`); i++) {
    const name = board.text(`${label}.name`, i);
    if (name === "") continue;
    views.push({
      name,
      packets: board.number(`${label}.packets`, i),
      bytes: board.number(`${label}.bytes`, i),
    });
  }
  return views;
}

function readMirror(board: Board, ports: readonly PortView[]): NodeStatus["mirror"] {
  const outside = ports.filter((port) => port.role === "upstream" || port.role === "downstream");
  const sum = (of: (port: PortView) => number, among: readonly PortView[]) =>
    among.reduce((total, port) => total + of(port), 0);
  const share = (part: number, whole: number) => whole === 0 ? 0 : part / whole;
  return {
    share: share(sum((p) => p.mirroredPackets, ports), sum((p) => p.rxPackets, outside)),
    shareBytes: share(sum((p) => p.mirroredBytes, ports), sum((p) => p.rxBytes, outside)),
    why: readNamed(board, "why"),
    shed: readNamed(board, "shed"),
    rules: readNamed(board, "copied"),
  };
}

function planeState(board: Board): NodeStatus["plane"]["state"] {
  const state = STATE[board.number("header.state")];
  return state === undefined || state === "setup" ? "starting" : state;
}

/** The whole state of a node, of one moment: read again when an event came in between. */
export function readStatus(board: Board, now: Now, around: Surroundings): NodeStatus {
  for (let tries = 1;; tries++) {
    const before = board.number("live.event_sequence");
    const status = readOnce(board, now, around);
    if (tries === READS_MAX || board.number("live.event_sequence") === before) return status;
  }
}

function readOnce(board: Board, now: Now, around: Surroundings): NodeStatus {
  const ports = readPorts(board, around.specs);
  const path = readPath(board);
  const boxes = BOXES.filter((box) => around.specs[rolesOfBox(box)[0]] !== undefined)
    .map((box) => readBox(board, box, { ports, path, now, around }));
  const freshMs = rounded(Math.max(0, (now.monoNs - board.number("live.heartbeat_ns")) / NS_PER_MS));
  const state = planeState(board);
  const [light, reason] = judgeNode(boxes, path, { freshMs, state });
  return {
    name: around.name,
    version: around.version,
    light,
    reason,
    path,
    pathSinceMs: wallMs(now, board.number("live.path_since_ns")),
    freshMs,
    plane: {
      state,
      pid: board.number("header.plane_pid"),
      startedMs: Math.round(board.number("header.started_wall_ns") / NS_PER_MS),
      restarts: around.planeRestarts,
      hugepages: board.number("live.huge") === 1,
      polling: POLL[board.number("live.poll")] ?? "sleep",
      cpu: around.cpu.reduce((sum, share) => sum + share, 0),
      loopMaxUs: board.number("live.loop_ns_max") / 1000,
      workers: readWorkers(board, around.cpu),
      error: board.text("header.error"),
    },
    boxes,
    checks: around.checks ?? [],
    ports,
    flows: {
      upstream: board.number("live.flows", 0),
      downstream: board.number("live.flows", 1),
      slots: board.number("header.flow_slots"),
    },
    mirror: readMirror(board, ports),
    counters: readNamed(board, "counter"),
    parse: readNamed(board, "parse"),
    bfd: readBfd(board, now),
    switches: board.number("live.switches"),
    lastSwitch: around.lastSwitch,
    // Control looks ten times a second, the path is of now.
    failback: path === "primary" ? null : around.failback,
    lastDrill: around.lastDrill,
    external: around.external,
  };
}

/** Events on the board with a sequence above `after`, oldest first. Those overwritten meanwhile are left out. */
export function readEvents(board: Board, after: number): EventView[] {
  const last = board.number("live.event_sequence");
  const size = board.count("event.sequence");
  const boot = board.big("header.boot").toString(16).padStart(16, "0");
  const events: EventView[] = [];
  for (let sequence = Math.max(after + 1, last - size + 1); sequence <= last; sequence++) {
    const i = sequence % size;
    if (board.number("event.sequence", i) === sequence) events.push(readEvent(board, i, boot));
  }
  return events;
}

function readEvent(board: Board, i: number, boot: string): EventView {
  const number = (member: string) => board.number(`event.${member}`, i);
  const kind = EVENT_KIND[number("kind")] ?? "stall";
  const event = {
    sequence: number("sequence"),
    boot,
    wallMs: rounded(number("wall_ns") / NS_PER_MS),
    monoUs: number("mono_ns") / 1000,
    kind,
    cause: CAUSE[number("cause")] ?? "stall",
    subject: subject(kind, number("subject")),
    before: place(kind, number("before")),
    after: place(kind, number("after")),
    silentUs: kind === "link" || kind === "detector" || kind === "member" || kind === "steer"
      ? null
      : number("silent_ns") / 1000,
    lostPackets: kind === "switch" ? number("lost_packets") : null,
  };
  return { ...event, text: describe(event) };
}

function subject(kind: EventView["kind"], value: number): string {
  if (kind === "link") return ALL_ROLES[value] ?? "?";
  return kind === "box" || kind === "detector" || kind === "member" || kind === "steer"
    ? BOXES[value] ?? "?"
    : "node";
}

function place(kind: EventView["kind"], value: number): string {
  if (kind === "switch" || kind === "steer") return PATHS[value] ?? "?";
  if (kind === "link") return value === 1 ? "up" : "down";
  if (kind === "box") return value === 1 ? "alive" : "dead";
  if (kind === "member") return value === 1 ? "joined" : "left";
  if (kind === "detector") return LIGHT[value] ?? "?";
  return "";
}

/** One sentence for people. */
function describe(event: Omit<EventView, "text">): string {
  const ms = ((event.silentUs ?? 0) / 1000).toFixed(2);
  switch (event.kind) {
    case "switch": {
      const moved = `traffic moved from ${event.before} to ${event.after} (${event.cause})`;
      // Of an order nothing is lost, and before a return there was no box.
      if (event.cause === "order" || event.cause === "return") return moved;
      return `${moved}; the old box was last seen ${ms} ms before, at most ${event.lostPackets} packets lost in it`;
    }
    case "link":
      if (event.cause === "propagation") return `the node sets the link of ${event.subject} ${event.after}`;
      return `link of ${event.subject} is ${event.after}`;
    case "box":
      return `${event.subject} is ${event.after} (${event.cause})`;
    case "member":
      return event.after === "joined"
        ? `${event.subject} joined: it gets copies, and takes over once it is warm`
        : `${event.subject} left: it gets no copies and does not take over`;
    case "steer":
      return `flows that rules led to ${event.before} go to ${event.after} (${event.cause})`;
    case "detector":
      return `${event.cause} of ${event.subject} is ${event.after}, was ${event.before}`;
    default:
      return `the node's own loop stood still for ${ms} ms; silence during it does not count`;
  }
}
