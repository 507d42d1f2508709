/**
 * Suricata as a judge: runs it off line over a capture and gives its alerts.
 *
 * An edge: starts processes and keeps files in a folder of its own, removed with it. Its configuration is the one that
 * the package installs, but for the outputs and for memory set aside in advance: a judge sees one small capture.
 * Captures that are equal byte by byte are judged once, whatever policy made them.
 */
import { type Alert, readEve } from "./mirror_alerts.ts";

/** Where Debian's package puts the configuration. */
const BASE_CONFIG = "/etc/suricata/suricata.yaml";
const RUN_MS_MAX = 600_000;

const CONFIG = `%YAML 1.1
---
include: ${BASE_CONFIG}
outputs:
  - eve-log: { enabled: yes, filetype: regular, filename: eve.json, types: [ { alert: { metadata: no } } ] }
logging:
  default-log-level: error
  outputs: [ { console: { enabled: yes } } ]
`;
/**
 * Any host is worth watching; plain matchers, because compiling the fast ones takes longer than a small capture; and
 * no more memory set aside at the start than one needs.
 */
const SETTINGS = [
  "vars.address-groups.HOME_NET=any",
  "vars.address-groups.EXTERNAL_NET=any",
  "mpm-algo=ac",
  "spm-algo=bm",
  "flow.prealloc=0",
  "stream.prealloc-sessions=32",
  "host.prealloc=10",
  "defrag.prealloc=no",
];

export class Judge implements AsyncDisposable {
  readonly #rules: string;
  readonly #folder: string;
  readonly #known = new Map<string, Promise<Alert[]>>();
  runs = 0;

  private constructor(rules: string, folder: string) {
    this.#rules = rules;
    this.#folder = folder;
  }

  /** @throws Error with one sentence where Suricata, its configuration or the rules are missing */
  static async open(rules: string): Promise<Judge> {
    const probe = await new Deno.Command("suricata", { args: ["-V"], stdout: "null", stderr: "null" })
      .output()
      .catch(() => null);
    if (probe === null || !await exists(BASE_CONFIG)) {
      throw new Error("Cannot judge with suricata: it is not installed; run ./scripts/setup --only ids");
    }
    if (!await exists(rules)) throw new Error(`Cannot judge with suricata: there are no rules at ${rules}`);
    const folder = await Deno.makeTempDir({ prefix: "remediate-judge-" });
    await Deno.writeTextFile(`${folder}/suricata.yaml`, CONFIG);
    return new Judge(rules, folder);
  }

  /** A path in the judge's own folder; what lies there is removed with it. */
  scratch(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** The alerts of a capture. `digest` names its content; equal ones are judged once. */
  judge(path: string, digest: string): Promise<Alert[]> {
    const known = this.#known.get(digest) ?? this.#run(path, digest);
    this.#known.set(digest, known);
    return known;
  }

  async #run(path: string, digest: string): Promise<Alert[]> {
    this.runs++;
    const log = this.scratch(`log-${digest}`);
    await Deno.mkdir(log);
    const config = this.scratch("suricata.yaml");
    const sets = SETTINGS.flatMap((entry) => ["--set", entry]);
    const files = ["-c", config, "-r", path, "-S", this.#rules, "-l", log];
    const { success, code, stdout, stderr } = await new Deno.Command("suricata", {
      args: ["--runmode", "single", "-k", "none", ...files, ...sets],
      signal: AbortSignal.timeout(RUN_MS_MAX),
    }).output();
    if (!success) {
      const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
      throw new Error(
        `Cannot judge ${path}: suricata ended with ${code}: ${said.trim().split("\n").at(-1) ?? ""}`,
      );
    }
    const alerts = readEve(await Deno.readTextFile(`${log}/eve.json`));
    await Deno.remove(log, { recursive: true });
    return alerts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
