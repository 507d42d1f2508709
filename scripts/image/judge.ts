/**
 * Duty: says what must not be in a root file system of ours.
 *
 * Nobody logs in to the machine, so nothing has to lend its rights; it is the same for everybody who has the image, so it
 * holds no secret and no name of a machine; and nothing listens but the node and DHCP.
 */
import { run } from "./run.ts";

/** One file, as `find -printf '%y %m %U %P\n'` tells it. */
export interface Entry {
  /** f, d, l, c ... */
  readonly kind: string;
  readonly mode: number;
  readonly uid: number;
  readonly path: string;
}

export interface RootFacts {
  readonly entries: readonly Entry[];
  /** Files that hold a private key. */
  readonly keys: readonly string[];
  readonly machineId: string;
  /** Of /etc/shadow. */
  readonly shadow: string;
  /** Socket units that may be started, and what they say. */
  readonly sockets: ReadonlyMap<string, string>;
}

const SETID = 0o6000;
const STICKY = 0o1000;
const FOR_ALL = 0o002;
/** The socket of a service that answers to the network by itself, or would by its default configuration. */
const SERVERS =
  /^usr\/s?bin\/(sshd|dropbear|telnetd|in\.\w+d|rpcbind|avahi-daemon|cupsd|exim4|postfix|snmpd|ntpd|chronyd|nginx|redis-server)$/;
const SECRETS = /(^|\/)(ssh_host_\w+_key|random-seed|credential\.secret|first-code|access\.json|api\.pem)$/;

export function rootFaults({ entries, keys, machineId, shadow, sockets }: RootFacts): string[] {
  const faults: string[] = [];
  for (const { kind, mode, path } of entries) {
    if (kind === "f" && (mode & SETID) !== 0) faults.push(`${path} lends its owner's or group's rights`);
    // Devices are made by the kernel; a directory that all may write to must keep them from each other's files.
    if (kind === "f" && (mode & FOR_ALL) !== 0) faults.push(`${path} may be written by all`);
    if (kind === "d" && (mode & FOR_ALL) !== 0 && (mode & STICKY) === 0) {
      faults.push(`${path}/ may be written by all`);
    }
    if (SECRETS.test(path)) faults.push(`${path} belongs to one machine`);
    if (SERVERS.test(path)) faults.push(`${path} would listen`);
  }
  for (const path of keys) faults.push(`${path} holds a private key`);
  if (machineId.trim() !== "") faults.push(`etc/machine-id names one machine: ${machineId.trim()}`);
  for (const line of shadow.split("\n")) {
    const [name, password] = line.split(":");
    if (name !== "" && !/^[!*]/.test(password ?? "")) faults.push(`${name} can log in`);
  }
  return [...faults, ...[...sockets].flatMap(([unit, text]) => listening(unit, text))];
}

/** Addresses that are no path and no name of the kernel's own (netlink, abstract) are of the network. systemd.socket(5). */
function listening(unit: string, text: string): string[] {
  return [...text.matchAll(/^Listen(?:Stream|Datagram|SequentialPacket)=(.+)$/gm)]
    .map(([, address]) => address!.trim())
    .filter((address) => !/^([/@%]|vsock)/.test(address))
    .map((address) => `${unit} listens on ${address}`);
}

export function parseEntries(text: string): Entry[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [, kind = "", mode = "", uid = "", path = ""] = /^(\S) (\d+) (\d+) (.*)$/.exec(line) ?? [];
    return { kind, mode: parseInt(mode, 8), uid: Number(uid), path };
  });
}

async function readSockets(root: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const home of ["etc/systemd/system", "usr/lib/systemd/system"]) {
    for (const wants of ["sockets.target.wants", "multi-user.target.wants", "basic.target.wants"]) {
      try {
        for (const { name } of Deno.readDirSync(`${root}/${home}/${wants}`)) {
          if (!name.endsWith(".socket")) continue;
          found.set(name, await Deno.readTextFile(`${root}/usr/lib/systemd/system/${name}`).catch(() => ""));
        }
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
  return found;
}

export async function gatherRoot(root: string): Promise<RootFacts> {
  const entries = parseEntries(
    await run(["find", root, "-xdev", "-mindepth", "1", "-printf", "%y %m %U %P\n"]),
  );
  // The beginning of a line is meant: programs that know the words have them in the middle of other bytes.
  const keys = (await run(["grep", "-rlIE", "^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----", root]).catch(() => ""))
    .split("\n").filter((path) => path !== "").map((path) => path.slice(root.length + 1));
  return {
    ...{ entries, keys },
    machineId: await Deno.readTextFile(`${root}/etc/machine-id`),
    shadow: await Deno.readTextFile(`${root}/etc/shadow`),
    sockets: await readSockets(root),
  };
}
