/** The archive for support has what helps and no secret, wherever one was planted. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { ROLES } from "../../../appliance/view.ts";
import { supportBundle } from "../../../appliance/support/bundle.ts";
import { redact, REDACTED, secretsIn } from "../../../appliance/support/redact.ts";

/** Each is somewhere of its own, in the form it has there. */
const SECRETS = {
  url: "rEdisUrlPw91",
  header: "chEckHeaderTok3n",
  keyFile: "bfdKeyFromAFile77",
  hash: "c2FsdHNhbHRzYWx0c2FsdA==",
  stateKey: "0123456789abcdef0123456789abcdeffedcba9876543210fedcba9876543210",
  pem: "MC4CAQAwBQYDK2VwBCIEIFakeKeyBytes",
  code: "k7qm-2w9x-abcd-efgh",
  bearer: "tok_9f8e7d6c5b4a",
  logged: "hunter2hunter2",
  toml: "inlineTomlPassword",
  status: "statusApiKey123",
};

async function plant(directory: string): Promise<string> {
  await Deno.mkdir(`${directory}/state`), await Deno.mkdir(`${directory}/run`);
  const write = (name: string, text: string) =>
    Deno.writeTextFile(`${directory}/${name}`, text, { mode: 0o600 });
  const text = [
    "[node]",
    `name = "edge1"\nstate_directory = "${directory}/state"\nruntime_directory = "${directory}/run"`,
    "[ports]",
    ...ROLES.map((role) => `${role.replace("-", "_")} = "null"`),
    "[[check]]",
    `name = "web"\nkind = "http"\nbox = "primary"\nurl = "http://10.0.0.1/" # not http://ann:${SECRETS.url}@10.0.0.1/`,
    `# redis_password = "${SECRETS.toml}"`,
    `# key_file = "${directory}/bfd.key"`,
  ].join("\n") + "\n";
  await write("remediate.toml", text);
  await write("bfd.key", `${SECRETS.keyFile}\n`);
  await write("run/accepted.toml", `${text}# api_token = '${SECRETS.header}'\n`);
  await write("run/first-code", `${SECRETS.code}\n`);
  await write(
    "run/plane.log",
    `started with --password ${SECRETS.logged}\nkey ${SECRETS.keyFile} was refused\n`,
  );
  const pem = `-----BEGIN PRIVATE KEY-----\n${SECRETS.pem}\n-----END PRIVATE KEY-----\n`;
  await write("state/api.pem", pem);
  await write("state/state.key", `${SECRETS.stateKey}\n`);
  const user = { name: "ann", role: "operator", hash: `scrypt$15$8$3$${SECRETS.hash}$${SECRETS.hash}` };
  await write("state/access.json", JSON.stringify({ version: 1, users: [user], tokens: [] }));
  const event = { text: `a driver said Authorization: Bearer ${SECRETS.bearer}, code ${SECRETS.code}` };
  await write(
    "state/events.jsonl",
    `${JSON.stringify(event)}\n${JSON.stringify({ text: "the plane forwards" })}\n`,
  );
  await write(
    "state/audit.jsonl",
    `${JSON.stringify({ who: "ann", detail: `{"password":"${SECRETS.logged}"}` })}\n`,
  );
  await write("state/match.jsonl", pem);
  return text;
}

/** Names and texts of a ustar archive, read by other means than those that wrote it. */
async function unpack(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${directory}/a.tar.gz`, bytes);
    const run = (...args: string[]) => new Deno.Command("tar", { args, cwd: directory }).outputSync();
    assert.ok(run("xzf", "a.tar.gz").success);
    const names = [...Deno.readDirSync(`${directory}/support`)].map(({ name }) => name).sort();
    return names.map((name) => `== ${name}\n${Deno.readTextFileSync(`${directory}/support/${name}`)}`).join(
      "\n",
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("supportBundle() holds what helps, and none of the secrets planted in every file and view", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const text = await plant(directory), { config, problems } = parseConfig(text, "a test");
    assert.ok(config, JSON.stringify(problems));
    const bytes = await supportBundle({
      config,
      configPath: `${directory}/remediate.toml`,
      views: {
        "status.json": () => ({
          light: "green",
          apiKey: SECRETS.status,
          nested: [{ "x-api-key": SECRETS.status }],
        }),
        "match.json": () => Promise.reject(new Error("no node")),
      },
      doctor: () => Promise.resolve([{ level: "ok", topic: "rights", text: "all", fix: null }]),
      nowMs: Date.UTC(2026, 0, 31),
    });
    const all = await unpack(bytes);
    for (const [where, secret] of Object.entries(SECRETS)) {
      assert.ok(!all.includes(secret), `${where}: ${secret}`);
    }
    for (
      const kept of ['name = "edge1"', "the plane forwards", '"light": "green"', "== doctor.json", "no node"]
    ) {
      assert.ok(all.includes(kept), kept);
    }
    assert.match(all, /key_file = "\//); // a path is no secret
    assert.match(all, /"kernel"/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("redact() leaves what is no secret, and secretsIn() takes no names for one", () => {
  for (const text of ['name = "edge1"', "10.1.0.11:40112", 'key = "/etc/remediate/api.pem"', "operator"]) {
    assert.equal(redact(text, secretsIn('{"role":"operator"}')), text);
  }
  assert.equal(redact("redis://u:p@h:1", []), `redis://${REDACTED}@h:1`);
});
