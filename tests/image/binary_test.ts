/**
 * The one file: where there is nothing but the C library and a shell; what it leaves on the disk; and as the node of a lab.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { runScenario } from "../../scripts/lab/scenario.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const PROGRAM = `${TOP}/.cache/test/remediate`;
const LIBRARIES = "libc.so.6 libm.so.6 libdl.so.2 librt.so.1 libpthread.so.0 libgcc_s.so.1".split(" ");

let built: Promise<void> | undefined;

async function build(output: string): Promise<void> {
  const args = [
    "run",
    "-A",
    "--no-check",
    `${TOP}/scripts/build.ts`,
    "--how",
    "launcher",
    "--output",
    output,
  ];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}
const program = () => built ??= Deno.mkdir(dirname(PROGRAM), { recursive: true }).then(() => build(PROGRAM));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function start(argv: readonly string[], env: Record<string, string>): Promise<Ended> {
  const [command, ...args] = argv;
  const { code, stdout, stderr } = await new Deno.Command(command!, { args, env, clearEnv: true }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

/** A directory of the test's own, gone at its end. */
async function directory() {
  const path = await Deno.makeTempDir({ prefix: "rm-binary-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** A root with a shell, the C library, and our file. */
async function bareRoot(root: string): Promise<void> {
  for (const name of ["bin", "lib64", "lib/x86_64-linux-gnu", "proc", "tmp", "etc", "var/cache", "dev"]) {
    await Deno.mkdir(`${root}/${name}`, { recursive: true });
  }
  await Deno.copyFile("/bin/sh", `${root}/bin/sh`);
  await Deno.copyFile("/lib64/ld-linux-x86-64.so.2", `${root}/lib64/ld-linux-x86-64.so.2`);
  const at = "lib/x86_64-linux-gnu";
  for (const name of LIBRARIES) await Deno.copyFile(`/${at}/${name}`, `${root}/${at}/${name}`);
  await Deno.copyFile(PROGRAM, `${root}/bin/remediate`);
}

/** Mounts of the bare root live in a mount namespace of its own and go with it. */
function inside(root: string, script: string): Promise<Ended> {
  const mounts =
    `mount -t proc proc ${root}/proc && for f in null zero urandom random; do touch ${root}/dev/$f && ` +
    `mount --bind /dev/$f ${root}/dev/$f; done`;
  const enter = `${mounts} && exec env -i PATH=/bin /usr/sbin/chroot ${root} /bin/sh -c '${script}'`;
  return start(["/usr/bin/unshare", "--mount", "/bin/sh", "-c", enter], {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  });
}

Deno.test("it runs where there is nothing but the C library and a shell", async () => {
  await program();
  await using root = await directory();
  await bareRoot(root.path);
  const said = await inside(root.path, "remediate version --json");
  assert.equal(JSON.parse(said.out).build, "launcher", said.err);
  const checked = await inside(
    root.path,
    "remediate config example > /etc/r.toml && remediate check --config /etc/r.toml && remediate nonsense",
  );
  assert.match(checked.out, /is good/, checked.err);
  assert.equal(checked.code, 2);
});

Deno.test("two builds of one tree are equal byte for byte", async () => {
  await program();
  await using scratch = await directory();
  const again = `${scratch.path}/again`;
  await build(again);
  const digest = async (path: string) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(path))).toHex();
  assert.equal(await digest(again), await digest(PROGRAM));
});

Deno.test("it unpacks once, into a directory of its own, and keeps few of other builds", async () => {
  await program();
  await using cache = await directory();
  const env = { REMEDIATE_CACHE: cache.path };
  for (let i = 0; i < 5; i++) {
    await Deno.mkdir(`${cache.path}/${String(i).repeat(64)}/lib`, { recursive: true });
  }
  await Promise.all(Array.from({ length: 3 }, () => start([PROGRAM, "version"], env)));
  const left = [...Deno.readDirSync(cache.path)].map(({ name }) => name).sort();
  assert.deepEqual(left.map((name) => name.length), [64, 64, 64], left.join(" "));
  const ours = left.find((name) => !/^(\d)\1*$/.test(name))!;
  const before = (await Deno.stat(`${cache.path}/${ours}/deno`)).ino;
  assert.equal((await start([PROGRAM, "version"], env)).code, 0);
  assert.equal((await Deno.stat(`${cache.path}/${ours}/deno`)).ino, before);
});

Deno.test("it says why it cannot start, and starts nothing", async () => {
  await program();
  await using cache = await directory();
  const missing = await start([PROGRAM, "version"], { REMEDIATE_CACHE: "/proc/nowhere" });
  assert.match(missing.err, /^Cannot unpack: no directory of ours has \d+ MB of room/);
  await Deno.chmod(cache.path, 0o777);
  const open = await start([PROGRAM, "version"], { REMEDIATE_CACHE: cache.path });
  assert.match(open.err, /^Cannot unpack/, "a directory that others may write to");
  await Deno.chmod(cache.path, 0o755);
  const deep = await start([PROGRAM, "version"], { REMEDIATE_CACHE: cache.path, REMEDIATE_DEPTH: "9" });
  assert.match(deep.err, /^Cannot start: 9 programs deep already/);
  const whole = await Deno.readFile(PROGRAM);
  const cut = `${cache.path}/cut`;
  for (const bytes of [whole.length - 1, whole.length - 88, 100_000]) {
    await Deno.writeFile(cut, whole.subarray(0, bytes), { mode: 0o755 });
    const { code, err } = await start([cut, "version"], { REMEDIATE_CACHE: cache.path }).catch(() => ({
      code: 1,
      err: "the kernel refuses it",
    }));
    assert.notEqual(code, 0);
    assert.match(err, /^Cannot (use|read) this program|the kernel refuses it|^$/, `${bytes} bytes`);
  }
});

Deno.test("deno compile is given the program and every library, as far as its base lets one see", async () => {
  await using scratch = await directory();
  const output = `${scratch.path}/compiled`;
  // Deno itself in place of the base for compiled programs: the file then carries all, but starts as Deno.
  const args = ["run", "-A", "--no-check", `${TOP}/scripts/build.ts`, "--how", "compile", "--output", output];
  const env = { DENORT_BIN: Deno.execPath() };
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, env }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const bytes = new TextDecoder("latin1").decode(await Deno.readFile(output));
  for (const part of ["rm_plane_run", "libremediate-filter.so", "libxdp.so.1", "remediate.js"]) {
    assert.ok(bytes.includes(part), part);
  }
});

Deno.test("a node that runs from it keeps every connection when the primary dies", async () => {
  await program();
  await using lab = await Lab.up(hotReplica({ clients: 1, serverMbit: 20 }));
  const tools = await programs(TOP);
  const node = await LabNode.start(lab, { top: TOP, program: PROGRAM, preset: "nat" });
  try {
    await startServers(lab, tools);
    const { long } = await runScenario(lab, tools, {
      workloads: [{ kind: "long", from: "c1", to: "s1", flows: 20, bytesPerSecond: 20_480 }],
      box: "primary",
      failure: "link-both",
      seconds: 4,
    });
    assert.deepEqual([long?.ok, long?.corrupt], [20, 0]);
    assert.equal((await node.status()).path, "redundant");
  } finally {
    await node.stop();
    await lab.down();
  }
});
