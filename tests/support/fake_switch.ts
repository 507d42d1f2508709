/**
 * Duty: an OpenFlow switch in memory: it answers messages, keeps groups and flows, and says where a packet would go.
 *
 * Bytes go in and out as on a wire, so the codec is in between. Like a real one it knows fast-failover groups alone as
 * ladders of watched ports; what is odd about a switch a test sets from outside.
 */
import type { Action } from "../../drivers/openflow/actions.ts";
import { Framer } from "../../drivers/openflow/frames.ts";
import { type Field, matchKey } from "../../drivers/openflow/match.ts";
import { type Body, decode, encode, type FlowMod, type GroupMod } from "../../drivers/openflow/messages.ts";
import type { FlowDescription, MultipartAnswer, MultipartQuery } from "../../drivers/openflow/multipart.ts";
import type { GroupDescription, PortDescription } from "../../drivers/openflow/structures.ts";

export const LIVE = 4;
export const DOWN = 1;

export function port(number: number, name: string, state = LIVE): PortDescription {
  const address = new Uint8Array([2, 0, 0, 0, 0, number]);
  return { number, address, name, config: 0, state, features: [0, 0, 0, 0], speed: [0, 0] };
}

/** Fields of a packet, for `where`. */
export type Packet = Readonly<Record<string, bigint>>;

export class FakeSwitch {
  readonly ports = new Map<number, PortDescription>();
  readonly groups = new Map<number, GroupDescription>();
  flows: FlowDescription[] = [];
  /** Sets the version and bitmap of its greeting. */
  greeting = { version: 4, versions: 1 << 4 as number | null };
  groupTypes = 0b1111;
  capabilities = 0b111;
  /** Refuses changes it is true for, with this type and code of error. */
  refuses: (body: Body) => readonly [type: number, code: number] | null = () => null;
  /** Takes changes and forgets them. */
  forgetful = false;
  /** Answers nothing at all. */
  mute = false;
  /** Kinds of the messages it got, for a test to look at. */
  readonly got: string[] = [];
  readonly #framer = new Framer();
  #out: Uint8Array[] = [];

  constructor(readonly datapath: bigint, ports: readonly PortDescription[]) {
    for (const one of ports) this.ports.set(one.number, one);
  }

  /** What it says when a connection is there. */
  greet(): Uint8Array {
    const { version, versions } = this.greeting;
    return encode({ transaction: 1, version, body: { kind: "hello", versions } });
  }

  /** Bytes from the controller. Returns its answers. */
  receive(bytes: Uint8Array): Uint8Array[] {
    this.#out = [];
    for (const message of this.#framer.push(bytes)) {
      const { transaction, body } = decode(message);
      this.got.push(body.kind);
      if (!this.mute) this.#answer(transaction, body);
    }
    return this.#out;
  }

  /** A port changes: what it says of it. */
  setPort(description: PortDescription, reason: 0 | 1 | 2 = 2): Uint8Array {
    if (reason === 1) this.ports.delete(description.number);
    else this.ports.set(description.number, description);
    return encode({ transaction: 0, body: { kind: "port-status", reason, port: description } });
  }

  setState(number: number, state: number): Uint8Array {
    return this.setPort({ ...this.ports.get(number)!, state });
  }

  #say(transaction: number, body: Body): void {
    this.#out.push(encode({ transaction, body }));
  }

  #answer(transaction: number, body: Body): void {
    switch (body.kind) {
      case "echo-request":
        return this.#say(transaction, { kind: "echo-reply", data: body.data });
      case "features-request": {
        const rest = { buffers: 0, tables: 4, auxiliary: 0, capabilities: 0 };
        return this.#say(transaction, { kind: "features-reply", datapath: this.datapath, ...rest });
      }
      case "barrier-request":
        return this.#say(transaction, { kind: "barrier-reply" });
      case "multipart-request":
        for (const [answer, more] of this.#parts(body.query)) {
          this.#say(transaction, { kind: "multipart-reply", more, answer });
        }
        return;
      case "group-mod":
      case "flow-mod": {
        const refusal = this.refuses(body);
        if (refusal !== null) {
          const [type, code] = refusal;
          return this.#say(transaction, { kind: "error", type, code, data: new Uint8Array() });
        }
        if (this.forgetful) return;
        if (body.kind === "group-mod") this.#changeGroup(body);
        else this.#changeFlow(body);
      }
    }
  }

  /** Flows and groups in parts of three, as a switch with much to tell would. */
  #parts(query: MultipartQuery): [MultipartAnswer, boolean][] {
    const cut = <T>(all: readonly T[], as: (part: T[]) => MultipartAnswer): [MultipartAnswer, boolean][] => {
      const parts: [MultipartAnswer, boolean][] = [];
      for (let at = 0; at === 0 || at < all.length; at += 3) {
        parts.push([as(all.slice(at, at + 3)), at + 3 < all.length]);
      }
      return parts;
    };
    switch (query.kind) {
      case "desc": {
        const description = { maker: "nobody", hardware: "none", software: "1", serial: "", datapath: "" };
        return [[{ kind: "desc", description }, false]];
      }
      case "port-desc":
        return cut([...this.ports.values()], (ports) => ({ kind: "port-desc", ports }));
      case "group-features": {
        const four = [9, 9, 9, 9];
        const { groupTypes: types, capabilities } = this;
        const features = { types, capabilities, groupsMax: four, actions: four };
        return [[{ kind: "group-features", features }, false]];
      }
      case "group-desc":
        return cut([...this.groups.values()], (groups) => ({ kind: "group-desc", groups }));
      case "flow": {
        const own = (flow: FlowDescription) =>
          (flow.cookie & query.cookieMask) === (query.cookie & query.cookieMask);
        return cut(this.flows.filter(own), (flows) => ({ kind: "flow", flows }));
      }
      default:
        return [[{ kind: "group", groups: [] }, false]];
    }
  }

  #changeGroup({ command, group, type, buckets }: GroupMod): void {
    if (command === 2) this.dropGroup(group);
    else this.groups.set(group, { group, type, buckets });
  }

  /** As a switch does: flows that lead into it go as well. Returns what it says. */
  dropGroup(group: number): Uint8Array[] {
    this.groups.delete(group);
    const leads = (flow: FlowDescription) =>
      flow.instructions.some((one) =>
        one.kind === "apply" &&
        one.actions.some((action) => action.kind === "group" && action.group === group)
      );
    const gone = this.flows.filter(leads);
    this.flows = this.flows.filter((flow) => !leads(flow));
    return gone.map((flow) => encode({ transaction: 0, body: { kind: "flow-removed", reason: 3, ...flow } }));
  }

  #changeFlow(mod: FlowMod): void {
    const { command, table, priority, match, cookie, cookieMask, instructions, flags, idleS, hardS } = mod;
    const same = (flow: FlowDescription) =>
      flow.table === table && flow.priority === priority && matchKey(flow.match) === matchKey(match);
    const own = (flow: FlowDescription) => (flow.cookie & cookieMask) === (cookie & cookieMask);
    if (command === 3) this.flows = this.flows.filter((flow) => !own(flow));
    else if (command === 4) this.flows = this.flows.filter((flow) => !(same(flow) && own(flow)));
    else {
      const counts = { packets: 0n, bytes: 0n, durationS: 0, durationNs: 0 };
      const flow = { table, priority, match, cookie, instructions, flags, idleS, hardS, ...counts };
      this.flows = [...this.flows.filter((one) => !same(one)), flow];
    }
  }

  /** The ports a packet would leave by. */
  where(packet: Packet): number[] {
    const matches = ({ name, value, mask }: Field) =>
      ((packet[name] ?? 0n) & (mask ?? ~0n)) === (value & (mask ?? ~0n)) && packet[name] !== undefined;
    const [best] = this.flows.filter((flow) => flow.match.every(matches)).sort((a, b) =>
      b.priority - a.priority
    );
    const [only] = best?.instructions ?? [];
    return only?.kind === "apply" ? this.#run(only.actions, Number(packet["in_port"]), 0) : [];
  }

  #run(actions: readonly Action[], inPort: number, depth: number): number[] {
    if (depth > 8) throw new Error("Cannot follow groups: they lead in a circle");
    return actions.flatMap((action) => {
      // 5.10: nothing leaves by the port it came in by, and what is down takes nothing.
      if (action.kind === "output") {
        return action.port !== inPort && this.#live(action.port) ? [action.port] : [];
      }
      if (action.kind !== "group") return [];
      const group = this.groups.get(action.group);
      if (group === undefined) throw new Error(`Cannot follow group ${action.group}: it is not there`);
      const bucket = group.buckets.find(({ watchPort }) => this.#live(watchPort));
      return bucket === undefined ? [] : this.#run(actionSet(bucket.actions), inPort, depth + 1);
    });
  }

  /** Has a port a link? */
  takes(number: number): boolean {
    return this.#live(number);
  }

  #live(number: number): boolean {
    return ((this.ports.get(number)?.state ?? DOWN) & DOWN) === 0;
  }
}

/** 5.10: a bucket is a set. Of several outputs one is left, and none beside a group. */
function actionSet(actions: readonly Action[]): Action[] {
  const last = (kind: Action["kind"]) => actions.findLast((action) => action.kind === kind);
  const end = last("group") ?? last("output");
  return end === undefined ? [] : [end];
}
