/**
 * What else the doctor asks a machine: its clock, its kernel, which CPUs are kept free, firmware of NICs, who answers.
 *
 * An edge. `null` means "could not be found out", which is never taken for a fault.
 */
import { type Config, configuredRoles } from "./config.ts";
import { parseRedis } from "./repository/redis_address.ts";
import { readCpuList } from "./doctor_facts.ts";

export interface NicFacts {
  readonly name: string;
  readonly driver: string;
  readonly firmware: string;
}

export interface PeerFacts {
  /** "repository 10.0.0.5:6379" */
  readonly name: string;
  /** Why it does not answer; null: it does. */
  readonly fault: string | null;
}

export interface MachineFacts {
  /** "6.1.0-18-amd64" */
  readonly kernel: string;
  /** Whether something keeps the clock right. */
  readonly clockSynchronised: boolean | null;
  /** CPUs that the scheduler keeps free of others. */
  readonly isolated: readonly number[];
  readonly nohz: readonly number[];
  /** How the frequency of the plane's CPU is chosen. */
  readonly governor: string | null;
  readonly iommu: boolean;
  readonly nics: readonly NicFacts[];
  readonly peers: readonly PeerFacts[];
}

const PEER_MS_MAX = 1500;
const CPUS = "/sys/devices/system/cpu";

export async function gatherMachine(config: Config | null): Promise<MachineFacts> {
  const cpu = config?.plane.core ?? 0;
  return {
    kernel: Deno.osRelease(),
    clockSynchronised: clockSynchronised(),
    isolated: readCpuList(await read(`${CPUS}/isolated`)),
    nohz: readCpuList(await read(`${CPUS}/nohz_full`)).filter(Number.isInteger),
    governor: (await read(`${CPUS}/cpu${cpu}/cpufreq/scaling_governor`)).trim() || null,
    iommu: await Array.fromAsync(Deno.readDir("/sys/class/iommu")).then(
      ({ length }) => length > 0,
      () => false,
    ),
    nics: config === null ? [] : await firmwares(config),
    peers: config === null ? [] : await peers(config),
  };
}

/** adjtimex(2) tells for every program that may keep it. */
function clockSynchronised(): boolean | null {
  const TIME_ERROR = 5, TIMEX_BYTES = 256;
  try {
    const libc = Deno.dlopen("libc.so.6", { adjtimex: { parameters: ["buffer"], result: "i32" } });
    const state = libc.symbols.adjtimex(new Uint8Array(TIMEX_BYTES));
    libc.close();
    return state < 0 ? null : state !== TIME_ERROR;
  } catch {
    return null;
  }
}

async function firmwares(config: Config): Promise<NicFacts[]> {
  const ports = configuredRoles(config).map((role) => config.ports[role]!);
  const names = ports.filter(({ kind }) => kind === "af_packet" || kind === "af_xdp").map(({ target }) =>
    target
  );
  const told = await Promise.all(names.map(async (name) => readDriver(name, await ethtool(name))));
  return told.filter((nic) => nic !== null);
}

/** Of `ethtool -i`. */
export function readDriver(name: string, text: string): NicFacts | null {
  const field = (key: string) => new RegExp(`^${key}: *(.*)$`, "m").exec(text)?.[1]?.trim() ?? "";
  const driver = field("driver");
  return driver === "" ? null : { name, driver, firmware: field("firmware-version") };
}

async function ethtool(name: string): Promise<string> {
  try {
    const command = new Deno.Command("ethtool", { args: ["-i", name], stdout: "piped", stderr: "null" });
    return new TextDecoder().decode((await command.output()).stdout);
  } catch {
    return "";
  }
}

/** Whom the configuration names and whom a connection proves alive. */
async function peers({ repository, drivers, switches }: Config): Promise<PeerFacts[]> {
  const wanted: [string, string, number][] = [];
  const redis = drivers.length > 0 && repository.url !== null ? parseRedis(repository.url) : null;
  for (const { host, port } of redis?.hosts ?? []) wanted.push(["repository", host, port]);
  for (const { name, by, address } of switches) {
    if (by === "connect") wanted.push([`switch ${name}`, address.host, address.port]);
  }
  return await Promise.all(wanted.map(async ([what, hostname, port]) => ({
    name: `${what} ${hostname}:${port}`,
    fault: await reach(hostname, port),
  })));
}

async function reach(hostname: string, port: number): Promise<string | null> {
  try {
    (await Deno.connect({ hostname, port, signal: AbortSignal.timeout(PEER_MS_MAX) })).close();
    return null;
  } catch (error) {
    if (error instanceof DOMException) return `no answer within ${PEER_MS_MAX} ms`;
    return error instanceof Error ? error.message.replace(/ \(os error.*/, "") : String(error);
  }
}

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}
