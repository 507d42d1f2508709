/**
 * The fleet end to end, in the short form: the product's controller in a namespace of its own, a pair and a single in three
 * others as processes with slots on disk. Orders come by the command line; bytes are counted at the interfaces.
 */
import assert from "node:assert/strict";
import { Asked } from "../../scripts/bench/lines.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { end, inNamespace, sleep, tryRun } from "../../scripts/lab/process.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import type { RolloutView } from "../../appliance/fleet/rollout/report.ts";
import type { UpdateView } from "../../appliance/update/contract.ts";
import { Random } from "../../filter/random.ts";
import { binary } from "../support/node.ts";
import { publisher } from "../support/slot_updater.ts";

const LIMIT_MS = 240_000;
const NODES = ["left", "right", "single"] as const;
const CUTS = 10;
const CONTENT_BYTES = 4_000_000;
const FINGERPRINT = /SHA-256 ([0-9A-F:]+)/;
const SCRIPT = new URL("../support/fleet_lab_node.ts", import.meta.url).pathname;

async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  for (const deadline = Date.now() + LIMIT_MS;;) {
    const found = await look().catch(() => null);
    if (found !== null) return found;
    if (Date.now() > deadline) throw new Error(`Cannot see ${what}`);
    await sleep(50);
  }
}

const TOPOLOGY = {
  name: "fleet-end",
  ipv6: false,
  namespaces: [{ name: "ctl" }, ...NODES.map((name) => ({ name }))],
  links: NODES.map((name, i) => ({
    ends: [{ ns: "ctl", name: `c${i}`, addresses: [`10.78.${i}.1/24`] }, {
      ns: name,
      name: "eth0",
      addresses: [`10.78.${i}.2/24`],
    }] as const,
  })),
  boxes: [],
  servers: [],
};

interface Told {
  readonly installs: number;
  readonly restarts: number;
  readonly view: UpdateView;
}

class Site {
  readonly publisher = publisher();
  readonly nodes = new Map<string, Asked>();
  #controller: Deno.ChildProcess | null = null;
  #log = "";

  constructor(readonly lab: Lab) {}

  get state(): string {
    return `${this.lab.directory}/ctl`;
  }

  async up(): Promise<void> {
    const words = ["fleet", "serve", "--listen", "0.0.0.0:8444", "--state", this.state, "--heartbeat-s", "2"];
    const more = ["--runtime", `${this.lab.directory}/run`, "--transfer-kib-s", "512"];
    const [program, ...args] = inNamespace(this.lab.ns("ctl"), [binary(), ...words, ...more]);
    const child = new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "piped" })
      .spawn();
    this.#controller = child;
    void (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) this.#log += text;
    })();
    await until("a controller that answers", async () => {
      const { code } = await this.cli("nodes");
      return code === 0 && FINGERPRINT.test(this.#log) ? true : null;
    });
  }

  async kill(): Promise<void> {
    const child = this.#controller;
    this.#controller = null;
    if (child === null) return;
    end(child, "SIGKILL");
    await child.status;
  }

  cli(...words: readonly string[]) {
    const where = words[0] === "bundle"
      ? ["--state", this.state]
      : ["--socket", `${this.lab.directory}/run/control.sock`];
    return tryRun([binary(), "fleet", ...words, ...where], { timeoutMs: 60_000 });
  }

  async did(...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli(...words);
    assert.equal(code, 0, `${words.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  async node(name: (typeof NODES)[number], labels: Readonly<Record<string, string>>): Promise<void> {
    const at = NODES.indexOf(name), publicKey = this.publisher.key.export({ type: "spki", format: "pem" });
    const options = {
      ...{ name, labels, publicKey, host: `10.78.${at}.1`, port: 8444 },
      directory: `${this.lab.directory}/${name}`,
      fingerprint: FINGERPRINT.exec(this.#log)![1]!,
      token: (await this.did("token")).trim(),
    };
    const asked = new Asked(
      SCRIPT,
      [JSON.stringify(options)],
      (argv) => inNamespace(this.lab.ns(name), argv),
    );
    this.nodes.set(name, asked);
    await asked.first;
  }

  tell(name: string): Promise<Told> {
    return this.nodes.get(name)!.ask("tell");
  }

  async version(name: string): Promise<string | null> {
    return (await this.tell(name)).view.slots.find(({ booted }) => booted)!.version;
  }

  /** What has come to a node by its wire. Bytes. */
  async received(name: string): Promise<number> {
    const [link] = JSON.parse(await this.lab.exec(name, ["ip", "-s", "-j", "link", "show", "eth0"]));
    return link.stats64.rx.bytes;
  }

  /** A signed bundle, taken in and rolled out to the single and then to all. */
  async rollOut(id: string, version: string, works: boolean): Promise<void> {
    const random = new Random(version.length + works.toString().length);
    const content = Uint8Array.from({ length: CONTENT_BYTES }, () => random.below(256));
    const path = `${this.lab.directory}/${id}.bundle`, order = `${this.lab.directory}/${id}.json`;
    await Deno.writeFile(path, this.publisher.bundle(version, works, content));
    const [digest] = (await this.did("bundle", path)).split(" ");
    await Deno.writeTextFile(
      order,
      JSON.stringify({
        ...{ id, bundle: { digest, version }, deadlineS: 600, observeS: 0, soakS: 0 },
        stages: [{ name: "canary", nodes: ["single"] }, { name: "all", percent: 100 }],
      }),
    );
    await this.did("rollout", "make", order);
    await this.did("rollout", "start", id);
  }

  async show(id: string): Promise<RolloutView> {
    const { stdout, stderr } = await this.cli("rollout", "show", id, "--json");
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout).rollout;
  }

  async down(): Promise<void> {
    for (const node of this.nodes.values()) await node.end();
    await this.kill();
  }
}

/** The controller dies each time another tenth of the bundle has come, and is there again after a moment. */
async function cutTransfer(site: Site, from: number): Promise<void> {
  for (let cut = 1; cut <= CUTS; cut++) {
    const wanted = from + cut * CONTENT_BYTES / (CUTS + 1);
    await until(`${wanted} bytes`, async () => await site.received("single") >= wanted ? true : null);
    await site.kill();
    await site.up();
  }
}

Deno.test("a pair and a single are updated though the controller dies at ten points of a transfer; a bad version halts", async () => {
  await sweep();
  const lab = await Lab.up(TOPOLOGY), site = new Site(lab);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => lab.down());
  stack.defer(() => site.down());
  await site.up();
  await site.node("left", { pair: "p" });
  await site.node("right", { pair: "p" });
  await site.node("single", {});
  await until(
    "all nodes",
    async () => (await site.cli("nodes", "--connected")).stdout.split("green").length > 3 ? true : null,
  );

  const before = await site.received("single");
  await site.rollOut("good", "1.1.0", true);
  await cutTransfer(site, before);
  await until("that the single runs it", async () => await site.version("single") === "1.1.0" ? true : null);
  const came = await site.received("single") - before;
  // Headers, the index for each try, handshakes and reports, and a chunk or two that was under way at a cut.
  assert.ok(came < 1.5 * CONTENT_BYTES, `${came} bytes came for ${CONTENT_BYTES}`);
  let together = 0;
  await until("the end of the roll-out", async () => {
    const [left, right] = await Promise.all([site.tell("left"), site.tell("right")]);
    if (left.view.installing !== null && right.view.installing !== null) together++;
    return (await site.show("good")).phase === "done" ? true : null;
  });
  assert.equal(together, 0);
  for (const name of NODES) {
    const { installs, restarts } = await site.tell(name);
    assert.deepEqual([await site.version(name), installs, restarts], ["1.1.0", 1, 1], name);
  }

  await site.rollOut("bad", "1.2.0", false);
  await until("that it halts", async () => (await site.show("bad")).phase === "halted" ? true : null);
  assert.deepEqual(await Promise.all(NODES.map((name) => site.version(name))), ["1.1.0", "1.1.0", "1.1.0"]);
  assert.equal((await site.tell("left")).installs, 1);
  assert.match((await site.cli("rollout", "show", "bad")).stdout, /fell back: the plane of the new version/);
});
