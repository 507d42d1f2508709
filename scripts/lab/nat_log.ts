/**
 * Duty: a box in a lab that logs its connections as an operator would have it: ulogd2 in the box, and rsyslog that forwards,
 * over TCP, what ulogd2 writes to a file.
 */
import type { Lab } from "./engine.ts";
import { end, sleep } from "./process.ts";

const BOX = "primary";
const LOOPBACK = "127.0.0.1";

/** Who hears the log: on loopback rsyslog runs beside the lab, else in the box. */
export interface LogTarget {
  readonly host: string;
  readonly port: number;
}

/** What ulogd tells of, one line each: new and ended connections with both their names, or packets that a rule logs. */
const STACKS = {
  flows: {
    plugins: ["inpflow_NFCT", "filter_IP2STR", "filter_PRINTFLOW", "output_LOGEMU"],
    stack: "input:NFCT,ip2str1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU",
    input: ["hash_enable=0", "event_mask=0x00000005"],
  },
  packets: {
    plugins: [
      "inppkt_NFLOG",
      "raw2packet_BASE",
      "filter_IFINDEX",
      "filter_IP2STR",
      "filter_PRINTPKT",
      "output_LOGEMU",
    ],
    stack: "input:NFLOG,base1:BASE,ifi1:IFINDEX,ip2str1:IP2STR,print1:PRINTPKT,emu1:LOGEMU",
    input: ["group=2"],
  },
} as const;

function ulogdConfig(home: string, what: keyof typeof STACKS): string {
  const { plugins, stack, input } = STACKS[what];
  return [
    "[global]",
    `logfile="${home}/ulogd.log"`,
    ...plugins.map((name) => `plugin="/usr/lib/x86_64-linux-gnu/ulogd/ulogd_${name}.so"`),
    `stack=${stack}`,
    "[input]",
    ...input,
    "[emu1]",
    `file="${home}/flows.log"`,
    "sync=1",
    "",
  ].join("\n");
}

function rsyslogConfig(home: string, { host, port }: LogTarget): string {
  return [
    'module(load="imfile")',
    `global(workDirectory="${home}")`,
    `input(type="imfile" File="${home}/flows.log" Tag="ulogd")`,
    `action(type="omfwd" target="${host}" port="${port}" protocol="tcp" TCP_Framing="octet-counted"`,
    '  template="RSYSLOG_SyslogProtocol23Format")',
    "",
  ].join("\n");
}

/** The processes that log; they end by their ids, or with the lab. */
export class NatLog {
  private constructor(readonly children: readonly Deno.ChildProcess[]) {}

  /** The box is `primary`. Returns when it logs. */
  static async start(lab: Lab, target: LogTarget, what: keyof typeof STACKS): Promise<NatLog> {
    const home = `${lab.directory}/log`;
    await Deno.mkdir(home, { recursive: true });
    await Deno.writeTextFile(`${home}/flows.log`, "");
    await Deno.writeTextFile(`${home}/ulogd.conf`, ulogdConfig(home, what));
    await Deno.writeTextFile(`${home}/rsyslog.conf`, rsyslogConfig(home, target));
    const quiet = { stdin: "null", stdout: "null", stderr: "null" } as const;
    const [program, ...args] = lab.argv(BOX, ["ulogd", "-c", `${home}/ulogd.conf`]);
    const argv = ["rsyslogd", "-n", "-f", `${home}/rsyslog.conf`, "-i", `${home}/rsyslog.pid`];
    const [forwarder, ...forward] = target.host === LOOPBACK ? argv : lab.argv(BOX, argv);
    const log = new NatLog([
      new Deno.Command(program!, { args, ...quiet }).spawn(),
      new Deno.Command(forwarder!, { args: forward, ...quiet }).spawn(),
    ]);
    // Its first line comes when its sockets are open.
    for (let n = 0; n < 500 && !await started(`${home}/ulogd.log`); n++) await sleep(10);
    return log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.children) end(child, "SIGTERM");
    await Promise.all(this.children.map((child) => child.status));
  }
}

const started = async (path: string) =>
  (await Deno.readTextFile(path).catch(() => "")).includes("initialization finished");
