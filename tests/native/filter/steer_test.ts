/** Steering in C, under sanitizers: it chooses as `boxOf()` does, and a move by chance goes as a model of it. */
import assert from "node:assert/strict";
import { boxOf, type SteeringRule } from "../../../appliance/layer/steering.ts";
import { decodeFields, encodeFields } from "../../../appliance/steering_board.ts";
import { type HeaderFields, parsePrefix } from "../../../drivers/fields.ts";
import { Random } from "../../../filter/random.ts";
import { run, sanitized } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const RULES = 16, FLOWS = 4_000, KEY_BYTES = 40, NOBODY = 255;
const ADDRESSES = [
  "10.1.0.1",
  "10.1.0.2",
  "10.1.128.1",
  "10.2.0.1",
  "192.0.2.1",
  "2001:db8::1",
  "2001:db8:1::1",
];
const PREFIXES = [
  "10.1.0.0/24",
  "10.1.0.0/17",
  "10.0.0.0/8",
  "0.0.0.0/0",
  "10.1.0.2",
  "2001:db8::/47",
  "::/0",
  "2001:db8::1",
];
const PORTS = [22, 80, 443, 40_000, 65_535], PROTOCOLS = [1, 6, 17];

function ruleFields(random: Random): HeaderFields {
  const maybe = <T>(make: () => T) => random.below(5) === 0 ? undefined : make();
  const ports = () => {
    const [a, b] = [random.pick(PORTS), random.pick(PORTS)];
    return a === b ? a : [Math.min(a, b), Math.max(a, b)] as const;
  };
  const [protocol, source, destination] = [
    maybe(() => random.pick(PROTOCOLS)),
    maybe(() => random.pick(PREFIXES)),
    maybe(() => random.pick(PREFIXES)),
  ];
  const [sourcePort, destinationPort] = [maybe(ports), maybe(ports)];
  return {
    ...(protocol !== undefined && { protocol }),
    ...(source !== undefined && { source }),
    ...(destination !== undefined && { destination }),
    ...(sourcePort !== undefined && { sourcePort }),
    ...(destinationPort !== undefined && { destinationPort }),
  };
}

interface Flow {
  readonly fields: Required<HeaderFields> & { readonly sourcePort: number; readonly destinationPort: number };
  /** Who opened it is not known. */
  readonly either: boolean;
}

function flowOf(random: Random): Flow {
  return {
    fields: {
      protocol: random.pick(PROTOCOLS),
      source: random.pick(ADDRESSES),
      destination: random.pick(ADDRESSES),
      sourcePort: random.pick(PORTS),
      destinationPort: random.pick(PORTS),
    },
    either: random.below(3) === 0,
  };
}

/** A struct steer_key. */
function keyBytes({ fields, either }: Flow): Uint8Array {
  const bytes = new Uint8Array(KEY_BYTES), view = new DataView(bytes.buffer);
  [fields.source, fields.destination].forEach((text, end) => {
    const { bits } = parsePrefix(text)!;
    for (let i = 0; i < 16; i++) bytes[16 * end + i] = Number(bits >> BigInt(120 - 8 * i) & 0xffn);
  });
  view.setUint16(32, fields.sourcePort, true);
  view.setUint16(34, fields.destinationPort, true);
  bytes[36] = fields.protocol;
  bytes[37] = either ? 1 : 0;
  return bytes;
}

const turned = (fields: Flow["fields"]): HeaderFields => ({
  protocol: fields.protocol,
  source: fields.destination,
  destination: fields.source,
  sourcePort: fields.destinationPort,
  destinationPort: fields.sourcePort,
});

function expected(rules: readonly SteeringRule[], { fields, either }: Flow): number {
  const youngest = (flow: HeaderFields) => rules.findLastIndex((rule) => boxOf([rule], flow) !== null);
  const found = Math.max(youngest(fields), either ? youngest(turned(fields)) : -1);
  return found < 0 ? NOBODY : found % 4;
}

async function fed(program: string, input: Uint8Array, folder: string): Promise<string[]> {
  await Deno.writeFile(`${folder}/input`, input);
  const text = await run("sh", ["-c", 'setarch -R "$0" choose <"$1"', program, `${folder}/input`]);
  return text.trim().split("\n");
}

/** What a move has to make of each line; throws at the first that differs. */
class Model {
  #state = "n";
  #held: number[] = [];
  #heldUs = 0;
  #order = 0;
  #routes = false;
  #free = false;
  /** Where each frame went. */
  readonly went = new Map<number, string>();

  #look(us: number): void {
    if (this.#state === "h" && us - this.#heldUs > 50_000) this.#state = "b";
    if (this.#routes && (this.#state === "h" || (this.#free && this.#state === "n"))) this.#state = "r";
  }

  #out(): string {
    return this.#state === "r" ? "d" : "s";
  }

  line(text: string): void {
    const [us = 0, number = 0] = [text.split(" ")[0], text.split(" ")[2]].map(Number);
    const [, what, , way, state, held] = text.split(" ");
    switch (what) {
      case "in": {
        if (this.#state === "h" && (this.#held.length >= 20 || us - this.#heldUs > 50_000)) this.#state = "b";
        const waits = this.#held.length > 0 || this.#state === "h" || way === "h" && this.#emptied;
        assert.equal(way, waits ? "h" : this.#out(), text);
        if (waits) this.#held.push(number);
        else this.went.set(number, way!);
        this.#emptied = false;
        break;
      }
      case "out":
        // Only a place that is needed, or a turn, or the end of a move lets frames go; of a hold that is over.
        if (this.#state === "h" && state === "b") this.#state = "b";
        if (state !== this.#state) this.#look(us);
        assert.equal(this.#held.shift(), number, `${text}: not the oldest`);
        assert.equal(way, this.#out(), text);
        this.went.set(number, way!);
        this.#emptied = this.#held.length === 0;
        break;
      default:
        this.#command(what!, { us, order: number });
    }
    if (state !== this.#state) this.#look(us);
    assert.deepEqual([this.#state, this.#held.length], [state, Number(held)], text);
  }

  #emptied = false;

  #command(what: string, { us, order }: { us: number; order: number }): void {
    if (what === "note" || what === "free") {
      assert.equal(this.#held.length, 0, "frames of the move before went on");
      this.#state = "n";
      this.#order = 0;
      this.#free = what === "free";
    }
    this.#routes = what === "route";
    if (what === "cancel") this.#state = "c";
    else if (this.#state !== "r" && this.#state !== "c" && order !== this.#order) {
      this.#state = "h";
      this.#order = order;
      this.#heldUs = us;
    }
    this.#look(us);
  }
}

Deno.test("steering in C chooses as boxOf() does, and a move by chance goes as its model", async () => {
  await sanitized("steer", ["steer_core"], async ({ program, folder }) => {
    const random = new Random(SEED);
    const rules = Array.from(
      { length: RULES },
      (_, i) => ({ id: `r${i}`, fields: ruleFields(random), box: "x" }),
    );
    const encoded = rules.map(({ fields }) => encodeFields(fields));
    for (const bytes of encoded) assert.deepEqual(encodeFields(decodeFields(bytes)), bytes);
    const flows = Array.from({ length: FLOWS }, () => flowOf(random));
    const counts = new Uint8Array(new Uint32Array([RULES, FLOWS]).buffer);
    const input = [counts, ...encoded, ...flows.map(keyBytes)].flatMap((bytes) => [...bytes]);
    const told = (await fed(program, Uint8Array.from(input), folder)).map(Number);
    assert.deepEqual(told, flows.map((flow) => expected(rules, flow)));
    assert.ok(new Set(told).size === 5, "each box, and none");

    const lines = (await run("setarch", ["-R", program, "play", "40000", String(SEED)])).trim().split("\n");
    const model = new Model();
    for (const line of lines) model.line(line);
    assert.ok(model.went.size > 20_000);
    assert.deepEqual(new Set(model.went.values()), new Set(["s", "d"]));
  });
});
