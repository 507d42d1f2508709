/**
 * Duty: the first page of a machine that has not been told what is plugged in where: its interfaces, and six choices.
 *
 * Pure. It is one form without script: each button sends all choices, so nothing is lost by looking again.
 */
import { type Choice, FURTHER, type Way, WAYS } from "../../appliance/setup/plan.ts";
import type { Nic } from "../../appliance/setup/nics.ts";
import { type Role, ROLES } from "../../appliance/view.ts";
import { type Preset, PRESETS } from "../../filter/rule.ts";
import type { Visitor } from "../session.ts";
import { count } from "../paint.ts";
import { Bare } from "./layout.tsx";
import { Csrf, FixedLight, Table } from "./parts.tsx";

export interface FirstProps {
  readonly visitor: Visitor;
  readonly node: string;
  readonly nics: readonly Nic[];
  readonly choice: Choice;
  /** What came of the last button; null: there was none. */
  readonly said: { readonly ok: boolean; readonly lines: readonly string[] } | null;
  /** The configuration that the choices make; null: not asked for, or they make none. */
  readonly text: string | null;
  /** Why neighbours are not heard; null: they are. */
  readonly deaf: string | null;
}

const ROLE_HELP = {
  "upstream": "the clients' side of the network",
  "downstream": "the servers' side of the network",
  "primary-in": "client side of the box that serves",
  "primary-out": "server side of the box that serves",
  "redundant-in": "client side of the box that stands by",
  "redundant-out": "server side of the box that stands by",
  "redundant-2-in": "client side of the second one",
  "redundant-2-out": "server side of the second one",
  "redundant-3-in": "client side of the third one",
  "redundant-3-out": "server side of the third one",
} as const satisfies Record<Role, string>;

const WAY_WORDS: Readonly<Record<Way, string>> = {
  af_packet: "by packet sockets: any card, the slowest (af_packet)",
  af_xdp: "by AF_XDP: faster, with a driver that can (af_xdp)",
  pci: "by PCI address: the fastest; the card is taken from the kernel",
};

const KINDS: Readonly<Record<Preset, string>> = {
  nat: "Address translation",
  lb: "Load balancer",
  firewall: "Stateful firewall",
  ids: "Intrusion detection",
  "ids-full": "Intrusion detection, in full",
  none: "Something else: my own rules later",
};

export function First(props: FirstProps) {
  const { visitor, node, nics, choice, said, text, deaf } = props;
  return (
    <Bare title="First set-up">
      <p class="note">
        {node}. Nothing is forwarded yet. Say which cable is which and what the boxes are; the node then
        begins by learning: it copies and judges, and moves nothing until you arm it.
      </p>
      {said === null
        ? null
        : (
          <div class="result" data-ok={String(said.ok)} role={said.ok ? "status" : "alert"}>
            {said.lines.map((line) => <p>{line}.</p>)}
          </div>
        )}
      <form method="post" action="/look" class="first">
        <Csrf visitor={visitor} />
        <h2>1. Interfaces</h2>
        {deaf === null ? null : <p class="note">{deaf}.</p>}
        <Nics nics={nics} />
        <p class="actions">
          <button type="submit" class="quiet">Look again</button>
        </p>
        <Questions nics={nics} choice={choice} />
        <p class="actions">
          <button type="submit" class={text === null ? undefined : "quiet"} formaction="/check">Check</button>
          {text === null ? null : <button type="submit" formaction="/apply">Write it and start</button>}
        </p>
      </form>
      {text === null ? null : (
        <section aria-label="The configuration">
          <h2>5. The configuration</h2>
          <pre tabindex={0}>{text}</pre>
        </section>
      )}
    </Bare>
  );
}

function RoleField({ role, nics, choice }: Pick<FirstProps, "nics" | "choice"> & { role: Role }) {
  return (
    <label>
      <span>{role}</span>
      <span class="note block" id={`help-${role}`}>{ROLE_HELP[role]}</span>
      <select name={role} aria-describedby={`help-${role}`}>
        <option value="">choose</option>
        {nics.filter(({ taken }) => taken === null).map(({ name }) => (
          <option value={name} selected={choice.ports[role] === name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

function Questions({ nics, choice }: Pick<FirstProps, "nics" | "choice">) {
  const further = FURTHER.flat();
  return (
    <>
      <h2>2. Which is which</h2>
      <div class="fields">
        {ROLES.map((role) => <RoleField {...{ role, nics, choice }} />)}
      </div>
      <details open={further.some((role) => choice.ports[role] !== undefined)}>
        <summary>More than one box stands by</summary>
        <p class="note">Two more at most, each with two ports. Leave empty what is not there.</p>
        <div class="fields">
          {further.map((role) => <RoleField {...{ role, nics, choice }} />)}
        </div>
      </details>
      <label class="way">
        <span>The node takes its ports</span>
        <select name="way">
          {WAYS.map((way) => <option value={way} selected={choice.way === way}>{WAY_WORDS[way]}</option>)}
        </select>
      </label>
      <h2>3. Kind of box</h2>
      <label>
        <span>The boxes are</span>
        <select name="preset">
          {Object.keys(PRESETS).map((preset) => (
            <option value={preset} selected={choice.preset === preset}>{KINDS[preset as Preset]}</option>
          ))}
        </select>
      </label>
      <h2>4. A probe to prove the wiring</h2>
      <p class="note" id="probe-help">
        Optional. An address on the client side that nobody has, and a host on the server side that answers
        pings.
      </p>
      <div class="fields">
        <label>
          <span>From</span>
          <input name="probe_from" value={choice.probe?.from ?? ""} aria-describedby="probe-help" />
        </label>
        <label>
          <span>To</span>
          <input name="probe_to" value={choice.probe?.to ?? ""} aria-describedby="probe-help" />
        </label>
      </div>
    </>
  );
}

function Nics({ nics }: { nics: readonly Nic[] }) {
  const columns = [
    ...["Interface", "Driver", "MAC", "Link", "Neighbour (LLDP)"].map((head) => ({ head })),
    { head: "Packets in", number: true },
    { head: "Use" },
  ];
  const rows = nics.map((nic) => [
    <span class="code">{nic.name}</span>,
    `${nic.driver}${nic.device === "" || nic.device === nic.name ? "" : ` ${nic.device}`}`,
    <span class="code">{nic.mac || "not told"}</span>,
    <Cable nic={nic} />,
    nic.index === 0
      ? "cannot be heard"
      : nic.neighbour === null
      ? "nothing heard"
      : `${nic.neighbour.system} ${nic.neighbour.port}`,
    nic.rxPackets === null ? "not counted" : count(nic.rxPackets),
    <Use nic={nic} />,
  ]);
  return <Table name="Interfaces" columns={columns} rows={rows} empty="This machine has no interfaces." />;
}

function Cable({ nic: { link, mbit } }: { nic: Nic }) {
  if (link === null) return <span class="dim">not known: the kernel does not drive it</span>;
  return (
    <>
      <FixedLight state={link ? "green" : "off"} word={link ? "up" : "down"} />
      {mbit === null ? "" : ` ${count(mbit)} Mbit/s`}
    </>
  );
}

/** Why it is not to be had, or the way to find its cable. What surely has no LED offers none. */
function Use({ nic: { name, index, driver, device, taken } }: { nic: Nic }) {
  if (taken !== null) return <>{taken}</>;
  if (index === 0) return <span class="dim">no blinking: the kernel does not drive it</span>;
  if (device === "" && driver !== "unknown") {
    return <span class="dim">no LED: a virtual port ({driver})</span>;
  }
  return (
    <button
      type="submit"
      class="quiet"
      formaction={`/blink/${name}`}
      aria-label={`Let the LED of ${name} blink`}
    >
      Blink
    </button>
  );
}

export function Starts() {
  return (
    <Bare title="The node starts">
      <p>The configuration is written. This takes a few seconds.</p>
      <p>
        <a class="button" href="/setup">To the node</a>
      </p>
      <p class="note">
        You log in once more. The guide there goes on with wiring, what is learnt, a drill, and arming.
      </p>
    </Bare>
  );
}
