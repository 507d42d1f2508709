/** Likely causes in made-up worlds: each fault is known by its pattern, and a world without one has none. */
import assert from "node:assert/strict";
import { type DriftFlow, type DriftSeen, likelyCauses, splitEnd } from "../../../appliance/failover/drift.ts";
import { Random } from "../../../filter/random.ts";

const NAT = "10.2.0.1";

/** Flow `i` of a world: every third to a server of its own port, from two networks. */
function flow(i: number, more: Partial<DriftFlow> = {}): DriftFlow {
  const port = 20_000 + i;
  const server = i % 3 === 0 ? "10.2.0.11:443" : i % 3 === 1 ? "10.2.0.12:80" : "10.2.0.13:7000";
  return {
    ...{ verdict: "equal", protocol: "tcp", rule: "nat", openedMs: 1000 * i, made: "" } as const,
    ...{ client: `10.1.${i % 2}.${11 + i % 4}:${port}`, own: `${NAT}:${port}`, server },
    ...more,
  };
}

const world = (n: number, of: (i: number) => Partial<DriftFlow> = () => ({})): DriftFlow[] =>
  Array.from({ length: n }, (_, i) => flow(i, of(i)));
const dropped = { verdict: "dropped" } as const;

function causes(flows: DriftFlow[], more: Partial<DriftSeen> = {}) {
  return likelyCauses({ flows, unknown: 0, lostCopies: 0, ...more });
}
const kinds = (...given: Parameters<typeof causes>) =>
  causes(...given).map(({ kind, flows }) => [kind, flows]);

Deno.test("where all is alike there is nothing to explain, and neither is there for a few", () => {
  assert.deepEqual(kinds(world(300)), []);
  assert.deepEqual(kinds([]), []);
  assert.deepEqual(kinds(world(300, (i) => i < 2 ? dropped : {})), []);
});

Deno.test("a rule is known by what all that it drops have in common, and nothing else has", () => {
  const [port] = causes(world(300, (i) => i % 3 === 2 ? dropped : {}));
  assert.deepEqual([port!.kind, port!.flows], ["rule", 100]);
  assert.match(port!.text, /^a rule .*: 100 of 100 flows to tcp port 7000 are dropped, and 200 others/);
  assert.match(
    causes(world(300, (i) => i % 2 ? dropped : {}))[0]!.text,
    /150 of 150 flows from 10\.1\.1\.0\/24/,
  );
  assert.match(
    causes(world(300, (i) => i % 4 === 1 ? dropped : {}))[0]!.text,
    /75 of 75 flows from 10\.1\.1\.12 /,
  );
  const udp = (i: number) => i % 5 === 0 ? { protocol: "udp", server: `10.2.0.9:${i}`, rule: "r" } : {};
  assert.match(
    causes(world(300, (i) => ({ ...udp(i), ...(i % 5 === 0 && dropped) })))[0]!.text,
    /60 of 60 flows to 10\.2\.0\.9/,
  );
});

Deno.test("what a drill found forgotten is a cause of its own, with all that the box holds", () => {
  const [one, ...others] = causes(world(30), { forgotMs: 3_000 });
  assert.deepEqual([one!.kind, one!.flows, others], ["timeout", 30, []]);
  assert.match(one!.text, /silent for 3 s was forgotten/);
  const found = kinds(world(300, (i) => i % 3 === 2 ? dropped : {}), { forgotMs: 3_000 });
  assert.deepEqual(found, [["timeout", 200], ["rule", 100]]);
});

Deno.test("two rules are two causes, the one with more flows first", () => {
  const found = causes(world(300, (i) => i % 3 === 2 || i % 4 === 1 ? dropped : {}));
  assert.deepEqual(found.map(({ kind, flows }) => [kind, flows]), [["rule", 100], ["rule", 50]]);
  assert.match(found[0]!.text, /to tcp port 7000/);
  assert.match(found[1]!.text, /from 10\.1\.1\.12 /);
});

Deno.test("a rule that came later is known by the flows that opened since", () => {
  const later = world(300, (i) => i >= 200 && i % 3 === 2 ? dropped : {});
  const [found] = causes(later);
  assert.deepEqual([found!.kind, found!.flows], ["rule", 34]);
  assert.match(found!.text, /34 of 34 flows to tcp port 7000/);
});

Deno.test("a full table drops what is new, whatever it is, and leaves alone what is old", () => {
  const [full] = causes(world(300, (i) => i >= 250 ? dropped : {}));
  assert.deepEqual([full!.kind, full!.flows], ["table-full", 50]);
  assert.match(
    full!.text,
    /50 of 50 flows that opened since one moment are dropped, and 250 older ones are well/,
  );
  // Room comes free now and then.
  assert.deepEqual(kinds(world(300, (i) => i >= 200 && i % 4 !== 0 ? dropped : {})), [["table-full", 75]]);
});

Deno.test("a standby that drops everything is told as such, with what it may be", () => {
  assert.deepEqual(kinds(world(40, () => dropped)), [["all-dropped", 40]]);
  const one = world(40, () => ({ ...dropped, server: "10.2.0.11:7000", rule: "bench" }));
  assert.match(causes(one)[0]!.text, /^it drops 40 of 40, all to tcp port 7000: another configuration/);
});

Deno.test("copies that were not made explain what is dropped, and what cannot be compared", () => {
  const found = causes(world(50, (i) => i >= 30 ? dropped : {}), { unknown: 250, lostCopies: 400 });
  assert.deepEqual(found.map(({ kind, flows }) => [kind, flows]), [["lost-copies", 270]]);
  assert.match(found[0]!.text, /400 of openings were shed .*; 20 flows are dropped, 250 not compared/);
  assert.deepEqual(kinds(world(50), { unknown: 250 }), []);
  assert.deepEqual(kinds(world(50), { lostCopies: 400 }), []);
});

function random(flows: DriftFlow[], own: (i: number) => number, its: (i: number) => number): DriftFlow[] {
  return flows.map((one, i) => ({
    ...one,
    verdict: "different",
    own: `${NAT}:${own(i)}`,
    made: `${NAT}:${its(i)} - ${one.server}`,
  }));
}

Deno.test("another way to choose ports shows in who keeps the client's", () => {
  const by = new Random(7);
  const any = () => 1024 + by.below(60_000), same = (i: number) => 20_000 + i;
  const text = (...given: Parameters<typeof random>) => causes(random(...given))[0]!.text;
  assert.match(
    text(world(60), same, any),
    /serving box keeps .* in 60 of 60, the standby in \d: its are random/,
  );
  assert.match(text(world(60), any, same), /the standby in 60: those of the serving box are random/);
  assert.match(text(world(60), any, any), /^ports without a pattern: .* both choose at random$/);
  assert.match(text(world(60), (i) => 1024 + i, (i) => 1124 + i), /^both count ports, 100 apart/);
  assert.deepEqual(kinds(random(world(60), same, any)), [["allocation", 60]]);
});

Deno.test("bindings that are not known any more are told without a pattern", () => {
  const [found] = causes(world(60, () => ({ verdict: "different" })));
  assert.deepEqual([found!.kind, found!.flows], ["allocation", 60]);
});

Deno.test("where only those differ that share a port, it is pressure and no other way to choose", () => {
  const server = "10.2.0.11:80";
  const clash = Array.from({ length: 20 }, (_, i) => {
    const client = `10.1.0.${i % 2 === 0 ? 11 : 12}:${30_000 + (i >> 1)}`;
    const port = 30_000 + (i >> 1);
    return i % 2 === 0 ? flow(i, { client, server, own: `${NAT}:${port}` }) : flow(i, {
      client,
      server,
      verdict: "different",
      own: `${NAT}:${50_000 + i}`,
      made: `${NAT}:${60_000 - i} - ${server}`,
    });
  });
  assert.deepEqual(kinds([...world(200), ...clash]), [["collisions", 10]]);
});

Deno.test("another address, or another choice of server, is named", () => {
  const pool = world(40).map((one) => ({
    ...one,
    verdict: "different" as const,
    made: `${one.own.replace(NAT, "10.2.0.2")} - ${one.server}`,
  }));
  assert.match(causes(pool)[0]!.text, /translates to 10\.2\.0\.2 in place of 10\.2\.0\.1 \(40 of 40/);
  const balanced = world(40).map((one) => ({
    ...one,
    verdict: "different" as const,
    made: `${one.own} - 10.2.0.99:80`,
  }));
  assert.match(causes(balanced)[0]!.text, /another choice of server: it sends to 10\.2\.0\.99:80/);
});

Deno.test("splitEnd() knows ports behind addresses of both kinds", () => {
  assert.deepEqual(splitEnd("10.1.0.11:80"), { address: "10.1.0.11", port: "80" });
  assert.deepEqual(splitEnd("[2001:db8::1]:443"), { address: "[2001:db8::1]", port: "443" });
});
