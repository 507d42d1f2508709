/** An agent's machine and a controller's session, joined: what they agree on, and whom they turn away. */
import assert from "node:assert/strict";
import { makeKey, signText } from "../../../../appliance/fleet/keys.ts";
import type { AgentMessage } from "../../../../appliance/fleet/protocol.ts";
import { CERTIFICATE, Fleet, Peer, report, settle, until } from "../../../support/fleet.ts";

Deno.test("a node enrols once by its token, and is known by its key from then on", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.enrolled(fleet);
  assert.equal(peer.machine.view.phase, "live");
  const known = await fleet.registry.node(peer.id);
  assert.equal(known?.key, peer.key.key);
  assert.equal(known?.controller, "c1");
  assert.equal(peer.machine.view.fleet, fleet.registry.fleet);

  await peer.close("cut");
  assert.equal((await fleet.registry.node(peer.id))?.controller, null);
  await peer.connect();
  assert.equal(peer.machine.view.phase, "live");
  assert.equal((await fleet.registry.size()).nodes, 1);
});

Deno.test("a welcome that was lost costs nothing: the token is used, the key is known", async () => {
  await using fleet = new Fleet();
  const token = await fleet.token(), key = await makeKey();
  const first = await Peer.create(fleet, { token }, key);
  await first.connect();
  await first.close("cut");
  const again = await Peer.create(fleet, { token }, key); // it never heard of the first
  await again.connect();
  assert.equal(again.machine.view.phase, "live");
  assert.equal((await fleet.registry.size()).nodes, 1);
});

Deno.test("a stolen token is worth nothing: used, over, revoked or guessed", async () => {
  await using fleet = new Fleet();
  const used = await fleet.token();
  await (await Peer.create(fleet, { token: used })).connect();
  const over = await fleet.token(1);
  const revoked = await fleet.token();
  assert.equal(await fleet.registry.tokens.revoke(revoked.split("_")[1]!), true);
  const guessed = used.slice(0, -4) + "AAAA";
  for (const token of [used, over, revoked, guessed]) {
    const thief = await Peer.create(fleet, { token });
    await thief.connect();
    assert.equal(thief.refusal, "token");
    assert.equal(thief.machine.view.phase, "waiting");
  }
  assert.equal((await fleet.registry.size()).nodes, 1);
  assert.equal(fleet.counters.refused_token, 4);
  const log = await fleet.registry.events.read({ limit: 10 });
  assert.equal(log.filter(({ source, subject }) => source === "security" && subject === "token").length, 4);
});

Deno.test("a foreign key and a revoked one are turned away", async () => {
  await using fleet = new Fleet();
  const stranger = await Peer.create(fleet, { fleet: fleet.registry.fleet });
  await stranger.connect();
  assert.equal(stranger.refusal, "unknown");

  const peer = await Peer.enrolled(fleet);
  assert.equal(await fleet.controller.revoke(peer.id, "admin"), true);
  await settle();
  assert.equal(peer.refusal, "revoked", "its connection ends at once");
  const again = await Peer.create(fleet, { token: await fleet.token() }, peer.key);
  await again.connect();
  assert.equal(again.refusal, "revoked", "not by another token either");
  assert.equal(fleet.counters.refused_revoked, 2);
});

Deno.test("a proof belongs to one connection: replayed, altered or made for another server it is refused", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.enrolled(fleet);
  const proof = peer.sent.find(({ type }) => type === "proof")!;
  await peer.close("cut");
  const known = { fleet: fleet.registry.fleet };

  const replayed = await Peer.create(fleet, known, peer.key);
  replayed.tamper = (message) =>
    message.type === "proof" ? { ...proof, token: null } as AgentMessage : message;
  await replayed.connect();
  assert.equal(replayed.refusal, "signature");

  const elsewhere = await Peer.create(fleet, known, peer.key);
  elsewhere.certificate = "CC:DD"; // a server in the middle has another certificate
  await elsewhere.connect();
  assert.equal(elsewhere.refusal, "signature");

  const thief = await Peer.create(fleet, { ...known, key: peer.key.key }, await makeKey());
  await thief.connect();
  assert.equal(thief.refusal, "signature", "the public key alone is not enough");
  assert.equal(fleet.counters.refused_signature, 3);
});

Deno.test("who takes the better version out of the offer is found out", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.create(fleet, { token: await fleet.token() });
  peer.tamper = (message) => message.type === "hello" ? { ...message, versions: [1] } : message;
  await peer.connect();
  // The agent sees that its best was not chosen, although the controller accepts it.
  assert.match(peer.closes[0] ?? "", /version 1 was chosen of 3, 2, 1/);

  const signing = await Peer.create(fleet, { token: await fleet.token(), versions: [2, 1] });
  signing.tamper = (message) => message.type === "hello" ? { ...message, versions: [2] } : message;
  await signing.connect();
  assert.equal(signing.refusal, "signature", "the offer is signed");

  const old = await Peer.create(fleet, { token: await fleet.token(), versions: [99] });
  await old.connect();
  assert.equal(old.refusal, "version");
});

Deno.test("an agent of the version before is served, with whole reports", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.enrolled(fleet, { versions: [1] });
  assert.equal(peer.machine.view.version, 1);
  await peer.act(peer.machine.report(report()));
  await settle();
  await peer.act(peer.machine.report(report({ match: { share: 0.5, reason: "" } })));
  await settle();
  const reports = peer.sent.filter((one) => one.type === "report");
  assert.deepEqual(reports.map(({ base }) => base), [null, null]);
  assert.equal((await fleet.registry.node(peer.id))?.report?.match.share, 0.5);
});

Deno.test("frames that are too long, no JSON, unknown or out of place end the connection and are counted", async () => {
  await using fleet = new Fleet();
  const cases: readonly [string | null, string][] = [
    ["x".repeat(10_000), "oversize"],
    ["{", "malformed"],
    ["[]", "malformed"],
    ['{"type":"nothing"}', "malformed"],
    ['{"type":"report","sequence":1,"base":null,"sections":{}}', "malformed"],
    ['{"type":"proof","signature":"x","token":null}', "malformed"],
    [null, "malformed"],
  ];
  for (const [text, code] of cases) {
    const heard: string[] = [];
    const session = fleet.controller.accept({
      address: "x",
      send: (one) => void heard.push(one),
      close: () => {},
    });
    session.hear(text);
    await settle(5);
    assert.equal((JSON.parse(heard[0] ?? "{}") as { code?: string }).code, code, String(text).slice(0, 40));
    await fleet.controller.ended(session);
  }
  assert.equal(fleet.counters.refused_oversize, 1);
  assert.equal(fleet.counters.refused_malformed, 6);
});

Deno.test("strangers cannot fill the log: beyond a bound they are counted alone", async () => {
  await using fleet = new Fleet();
  for (let i = 0; i < 100; i++) {
    const session = fleet.controller.accept({ address: "x", send: () => {}, close: () => {} });
    session.hear("{");
    await settle(0);
    await fleet.controller.ended(session);
  }
  await settle();
  assert.equal((await fleet.registry.events.read({ limit: 1000 })).length, 30);
  assert.equal(fleet.counters.refused_malformed, 100);
  assert.equal(fleet.counters.refusals_not_told, 70);
});

Deno.test("reports go as deltas, and whole where the controller lost what they build on", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.enrolled(fleet);
  await peer.act(peer.machine.report(report()));
  await settle();
  await peer.act(peer.machine.report(report({ match: { share: 0.25, reason: "few" } })));
  await settle();
  const [whole, delta] = peer.sent.filter((one) => one.type === "report");
  assert.equal(whole?.base, null);
  assert.deepEqual([delta?.base, Object.keys(delta?.sections ?? {})], [whole?.sequence, ["match"]]);
  assert.deepEqual(
    (await fleet.registry.node(peer.id))?.report,
    report({ match: { share: 0.25, reason: "few" } }),
  );

  // Nothing new, nothing sent.
  await peer.act(peer.machine.report(report({ match: { share: 0.25, reason: "few" } })));
  assert.equal(peer.sent.filter(({ type }) => type === "report").length, 2);

  peer.tamper = (message) => {
    peer.tamper = (one) => one;
    return message.type === "report" ? { ...message, base: 77 } : message;
  };
  await peer.act(peer.machine.report(report()));
  await settle();
  assert.equal(peer.sent.filter((one) => one.type === "report").at(-1)?.base, null, "asked for a whole one");
  assert.deepEqual((await fleet.registry.node(peer.id))?.report, report());
  assert.equal(fleet.counters.gaps, 1);
});

Deno.test("a report that was there before ends the connection and changes nothing", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.enrolled(fleet);
  await peer.act(peer.machine.report(report()));
  await settle();
  const old = peer.sent.find(({ type }) => type === "report")!;
  await peer.act(peer.machine.report(report({ match: { share: 0, reason: "" } })));
  await settle();
  peer.send(old);
  await settle();
  assert.equal(peer.refusal, "order");
  assert.equal(fleet.counters.replayed_reports, 1);
  assert.equal((await fleet.registry.node(peer.id))?.report?.match.share, 0);
});

Deno.test("a second connection of a node replaces the first, whose words count no more", async () => {
  await using fleet = new Fleet();
  const first = await Peer.enrolled(fleet);
  const second = await Peer.create(fleet, { fleet: fleet.registry.fleet }, first.key);
  await second.connect();
  assert.equal(second.machine.view.phase, "live");
  assert.equal(first.refusal, "replaced");
  await fleet.controller.ended(first.session!).catch(() => {});
  assert.equal((await fleet.registry.node(second.id))?.controller, "c1");
});

Deno.test("a command waits for its node, is given once a connection, and its first result holds", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.enrolled(fleet);
  await peer.close("cut");
  const number = await fleet.order(peer.id);
  await peer.connect();
  assert.deepEqual(peer.commands.map((one) => one.number), [number]);
  await peer.close("cut");
  await peer.connect();
  assert.deepEqual(peer.commands.map((one) => one.number), [number, number], "asked again for its result");

  const result = {
    type: "result",
    command: number,
    outcome: "done",
    text: "ok",
    data: {},
    bytes: null,
  } as const;
  await peer.act(peer.machine.result(result));
  await settle();
  peer.send({ ...result, outcome: "failed" });
  await settle();
  const [kept] = await fleet.results(peer.id);
  assert.equal(kept?.result?.outcome, "done");
  assert.equal(fleet.counters.repeated_results, 1);
  await peer.close("cut");
  await peer.connect();
  assert.equal(peer.commands.length, 2, "not given again");
  assert.equal(fleet.news.filter(({ kind }) => kind === "result").length, 1);
});

Deno.test("events of a node are kept once each, whatever is sent twice", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.enrolled(fleet);
  const event = (sequence: number) => ({
    ...{ sequence, wallMs: 5, kind: "switch", cause: "link", subject: "primary", text: `event ${sequence}` },
  });
  assert.equal(peer.machine.eventsAfter, 0);
  await peer.act(peer.machine.events([event(1), event(2)]));
  assert.equal(peer.machine.eventsAfter, null, "one list at a time");
  await settle();
  assert.equal(peer.machine.eventsAfter, 2);
  peer.send({ type: "events", list: [event(2), event(3)] });
  await settle();
  const texts = (await fleet.registry.events.read({ limit: 10, node: peer.id })).filter(({ source }) =>
    source === "node"
  ).map(({ text }) => text);
  assert.deepEqual(texts, ["event 1", "event 2", "event 3"]);
});

Deno.test("a node changes its key only with the signature of the fresh one", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.enrolled(fleet), fresh = await makeKey();
  await peer.act(peer.machine.rotate(fresh.key, await signText(peer.key, "something else")));
  await until(() => peer.refusal !== "");
  assert.equal(peer.refusal, "signature");
  assert.equal((await fleet.registry.node(peer.id))?.key, peer.key.key);
});

Deno.test("an agent that enrolled with one fleet says nothing to another", async () => {
  await using fleet = new Fleet();
  const peer = await Peer.create(fleet, { fleet: "another" });
  peer.tamper = (message) => message.type === "hello" ? { ...message, enrol: true } : message;
  await peer.connect();
  assert.match(peer.closes[0] ?? "", /it is of fleet/);
  assert.equal(peer.sent.some(({ type }) => type === "proof"), false);
  assert.equal(CERTIFICATE, "AA:BB");
});
