/**
 * Duty: a computer that starts from a disk of ours: QEMU without virtualisation, in a namespace of the lab.
 *
 * It lives in the lab's namespace, so whatever takes the lab down ends it too. Its data ports are taps that a bridge joins
 * to the lab's cables; its first port is the management port, behind QEMU's own DHCP server and NAT. PCI addresses are
 * given, because a configuration names ports by them.
 */
import type { Lab } from "../lab/engine.ts";
import { sleep } from "../lab/process.ts";
import { Monitor } from "./qmp.ts";

export const NIC_MODELS = ["virtio", "e1000e"] as const;

/** A data port of the machine. */
export interface Nic {
  /** Of the namespace, which the port is joined to; also what `setLink` calls it. */
  readonly name: string;
  readonly model: (typeof NIC_MODELS)[number];
  /** Of the root bus: 16 is 0000:00:10.0. */
  readonly slot: number;
}

export interface MachineOptions {
  readonly ns: string;
  /** Raw; what is written to it is forgotten. */
  readonly disk: string;
  /** "secure": UEFI that enforces Secure Boot once it was given keys. */
  readonly firmware: "bios" | "uefi" | "secure";
  /** Its variables, kept from start to start. @default fresh ones, for this start */
  readonly variables?: string;
  readonly nics: readonly Nic[];
  /** Raw images of USB sticks. */
  readonly sticks?: readonly string[];
  /** An emulated IOMMU, so that ports go to vfio-pci. @default false */
  readonly iommu?: boolean;
  /** A watchdog (i6300esb) that resets the machine. @default false */
  readonly watchdog?: boolean;
  /** Forwarded from the namespace's loopback to the management port. */
  readonly tcpPort: number;
  /** With one, the plane's loop and control take turns, which without virtualisation takes minutes. @default 2 */
  readonly processors?: number;
  /** @default 2048 */
  readonly memoryMib?: number;
  /** Keeps what is written to the disk. @default false */
  readonly keep?: boolean;
}

/** Where the distribution puts the firmware and its empty variables. */
export const OVMF = {
  uefi: "/usr/share/OVMF/OVMF_CODE_4M.fd",
  secure: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
  vars: "/usr/share/OVMF/OVMF_VARS_4M.fd",
};

function nicArguments({ name, model, slot }: Nic, iommu: boolean): string[] {
  const more = { virtio: iommu ? ",iommu_platform=on,disable-legacy=on" : "", e1000e: "" }[model];
  const device = { virtio: "virtio-net-pci", e1000e: "e1000e" }[model];
  return [
    ...["-netdev", `tap,id=${name},ifname=t-${name},script=no,downscript=no`],
    "-device",
    `${device},netdev=${name},id=nic-${name},romfile=,mac=02:00:00:0f:00:${slot.toString(16)},addr=0x${
      slot.toString(16)
    }${more}`,
  ];
}

/** The whole command line; files of the run are in `directory`. */
export function machineArguments(options: MachineOptions, directory: string): string[] {
  const { firmware, iommu = false, keep = false, sticks = [] } = options;
  const secure = firmware === "secure";
  const pflash = (file: string, more: string) => ["-drive", `if=pflash,format=raw,file=${file}${more}`];
  return [
    "qemu-system-x86_64",
    ...[
      "-M",
      `q35${iommu ? ",kernel-irqchip=split" : ""}${secure ? ",smm=on" : ""}`,
      "-accel",
      "tcg,thread=multi",
      "-cpu",
      "max,la57=off",
    ],
    ...[
      "-smp",
      String(options.processors ?? 2),
      "-m",
      String(options.memoryMib ?? 2048),
      "-nodefaults",
      "-display",
      "none",
      "-no-reboot",
    ],
    ...(iommu ? ["-device", "intel-iommu,intremap=on"] : []),
    // Only code in system management mode may write variables then.
    ...(secure
      ? ["-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"]
      : []),
    ...(firmware === "bios" ? [] : [
      ...pflash(OVMF[firmware], ",readonly=on"),
      ...pflash(options.variables ?? `${directory}/vars.fd`, ""),
    ]),
    ...[
      "-drive",
      `if=none,id=disk,format=raw,file=${options.disk},cache=unsafe${keep ? "" : ",snapshot=on"}`,
    ],
    ...["-device", "virtio-blk-pci,drive=disk,addr=0x4,bootindex=1"],
    ...["-netdev", `user,id=mgmt,restrict=on,hostfwd=tcp:127.0.0.1:${options.tcpPort}-:8443`],
    ...["-device", "virtio-net-pci,netdev=mgmt,romfile=,addr=0x5"],
    ...["-device", "qemu-xhci,addr=0x6", "-device", "virtio-rng-pci,addr=0x7"],
    ...["-device", "virtio-balloon-pci,id=balloon,addr=0x9"],
    ...sticks.flatMap((file, i) => [
      ...["-drive", `if=none,id=stick${i},format=raw,readonly=on,file=${file}`],
      ...["-device", `usb-storage,drive=stick${i},removable=on`],
    ]),
    ...(options.watchdog ? ["-device", "i6300esb,addr=0x8", "-action", "watchdog=reset"] : []),
    ...options.nics.flatMap((nic) => nicArguments(nic, iommu)),
    ...["-serial", `file:${directory}/console.log`, "-qmp", `unix:${directory}/qmp.sock,server=on,wait=off`],
  ];
}

/** Taps, each joined to an interface of the same namespace, as by a cable. */
function tapScript(nics: readonly Nic[]): string {
  const lines = nics.flatMap(({ name }) => [
    `tuntap add name t-${name} mode tap`,
    `link add name b-${name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0 group_fwd_mask 65528`,
    ...[`t-${name}`, name].map((port) => `link set dev ${port} master b-${name}`),
    ...[`t-${name}`, `b-${name}`].map((port) => `link set dev ${port} up`),
  ]);
  const quiet = nics.map(({ name }) =>
    `ethtool -K t-${name} tx off rx off tso off gso off gro off >/dev/null 2>&1 || true`
  );
  return ["ip -batch - <<'IP'", ...lines, "IP", ...quiet].join("\n") + "\n";
}

export class Machine {
  readonly #started = performance.now();
  #monitor: Monitor | undefined;
  #ended: Deno.CommandStatus | undefined;

  private constructor(
    readonly lab: Lab,
    readonly options: MachineOptions,
    readonly directory: string,
    readonly child: Deno.ChildProcess,
  ) {
    child.unref();
    child.status.then((status) => this.#ended = status);
  }

  /** Switches it on, once its taps are there. The lab ends it. @throws Error with QEMU's words */
  static async start(lab: Lab, options: MachineOptions): Promise<Machine> {
    const directory = await Deno.makeTempDir({ dir: lab.directory, prefix: "machine-" });
    if (options.firmware !== "bios" && options.variables === undefined) {
      await Deno.copyFile(OVMF.vars, `${directory}/vars.fd`);
    }
    const every = ["taskset", "-c", `0-${navigator.hardwareConcurrency - 1}`];
    const argv = [...every, ...machineArguments(options, directory)];
    const child = lab.startNode(options.ns, argv, "qemu.log");
    const machine = new Machine(lab, options, directory, child);
    await machine.#connect();
    return machine;
  }

  /**
   * As `start`, and waits until it is `ready`. QEMU without virtualisation lets a
   * processor run code that another one is changing, and a kernel that changes itself while it starts may die of that: then
   * it is started again, twice at most.
   */
  static async begin(
    lab: Lab,
    options: MachineOptions,
    ready: (machine: Machine) => Promise<unknown>,
  ): Promise<Machine> {
    if (options.nics.length > 0) await lab.script(options.ns, tapScript(options.nics));
    for (let tries = 0;; tries++) {
      const machine = await Machine.start(lab, options);
      try {
        await ready(machine);
        return machine;
      } catch (error) {
        const died = !machine.runs && /Kernel panic/.test(await machine.console());
        await machine.stop();
        if (!died || tries >= 2) throw error;
      }
    }
  }

  async #connect(): Promise<void> {
    for (let tries = 0; tries < 300; tries++) {
      if (this.#ended) break;
      try {
        this.#monitor = await Monitor.connect(`${this.directory}/qmp.sock`);
        return;
      } catch {
        await sleep(100);
      }
    }
    const said = await Deno.readTextFile(`${this.lab.directory}/qemu.log`).catch(() => "");
    throw new Error(`Cannot start QEMU: ${said.trim().split("\n").slice(-4).join("; ")}`);
  }

  /** Milliseconds since it was switched on. */
  get ageMs(): number {
    return performance.now() - this.#started;
  }

  /** False once it has switched itself off, restarted (which ends it too), or died. */
  get runs(): boolean {
    return this.#ended === undefined;
  }

  get monitor(): Monitor {
    if (this.#monitor === undefined) throw new Error("Cannot speak to QEMU: it has not started");
    return this.#monitor;
  }

  /** What it printed on its serial port so far. */
  async console(): Promise<string> {
    const text = await Deno.readTextFile(`${this.directory}/console.log`).catch(() => "");
    // deno-lint-ignore no-control-regex
    return text.replaceAll("\r", "").replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "");
  }

  /** Waits until a program of ours speaks. @throws Error with the end of the console, after `msMax` */
  async untilOurs(msMax: number): Promise<void> {
    await this.untilSaid(/data partition: /, msMax);
  }

  /** Waits for words on the console. @throws Error with the end of it, after `msMax` */
  async untilSaid(words: RegExp, msMax: number): Promise<RegExpExecArray> {
    return await this.until(`${words} on its console`, msMax, async () => words.exec(await this.console()));
  }

  /** Waits until `look` gives something. @throws Error with the end of the console, after `msMax` */
  async until<T>(what: string, msMax: number, look: () => Promise<T | null>): Promise<T> {
    const until = Date.now() + msMax;
    while (Date.now() < until) {
      const found = await look();
      if (found !== null) return found;
      if (!this.runs) throw await this.#failure(`it ended before ${what}`);
      await sleep(250);
    }
    throw await this.#failure(`no ${what} for ${msMax / 1000} s`);
  }

  async #failure(reason: string): Promise<Error> {
    const end = (await this.console()).trim().split("\n").slice(-25).join("\n");
    return new Error(`Cannot go on with the machine: ${reason}; its console ends:\n${end}`);
  }

  /** The cable of a port, as the machine sees it. */
  async setLink(name: string, up: boolean): Promise<void> {
    await this.monitor.run("set_link", { name: `nic-${name}`, up });
  }

  /** What the guest uses of its memory, by its own balloon driver, MiB; null while that has not loaded. */
  async memoryUsedMib(): Promise<number | null> {
    const path = "/machine/peripheral/balloon";
    await this.monitor.run("qom-set", { path, property: "guest-stats-polling-interval", value: 1 });
    await sleep(2_500);
    const got = await this.monitor.run("qom-get", { path, property: "guest-stats" }) as {
      readonly stats: Readonly<Record<string, number>>;
    };
    const { "stat-total-memory": total = -1, "stat-available-memory": free = -1 } = got.stats;
    return total < 0 || free < 0 ? null : Math.round((total - free) / 1024 / 1024);
  }

  /** Takes the power away. */
  async stop(): Promise<void> {
    if (!this.runs) return this.#monitor?.close();
    await this.#monitor?.run("quit").catch(() => {});
    this.#monitor?.close();
    for (let tries = 0; tries < 100 && this.runs; tries++) await sleep(50);
  }
}
