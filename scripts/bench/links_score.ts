/**
 * Duty: what runs on links amount to: frames for a second of the processor, loss, copies, delay, and the bars. Pure.
 *
 * Of the flat-out runs the best counts, because a neighbour on the machine slows a device and never speeds it up. Medians
 * stand beside it and tell how far a usual run was from it.
 */
import { median } from "../demo.d/statistics.ts";
import { align } from "../demo.d/table.ts";
import { type Device, DEVICE_TEXT, type Work, WORKS } from "./links_setup.ts";
import type { Bar } from "./statistics.ts";

/** Of a processor, what the machine itself takes of it at most: ticks, housekeeping. More is somebody else's work. */
export const QUIET_SHARE = 0.05;

/** What links.c says of its load. */
export interface LoadReport {
  readonly ns: number;
  readonly made: number;
  /** Of `made`, those that the first link did not take. */
  readonly refused: number;
  readonly syns: number;
  /** First ACKs of connections whose SYN was among `made`. */
  readonly firstAcks: number;
}

/** Two looks at the gauge: how long, and how long of it somebody else had the processor. */
export interface Span {
  readonly elapsedNs: number;
  readonly lostNs: number;
}

export interface Stage {
  readonly load: LoadReport;
  /** Frames that reached the end and the mirror's end; the probe's requests among them. */
  readonly arrived: number;
  readonly copied: number;
  readonly probes: number;
  readonly span: Span;
}

export interface LinkRun {
  /** Of the processor, with the device up and no load: what belongs to the machine and not to the device. */
  readonly idleShare: number;
  readonly flat: Stage;
  readonly paced: Stage;
  readonly rttP50Us: number;
  readonly rttP99Us: number;
}

/** Nanoseconds of the processor that a stage took above what it takes without load. */
export function spentNs({ span }: Stage, idleShare: number): number {
  return Math.max(0, span.lostNs - idleShare * span.elapsedNs);
}

/** Million frames carried for each second of the processor. NaN where none was spent. */
export function mppsPerCpu(stage: Stage, idleShare: number): number {
  const spent = spentNs(stage, idleShare);
  return spent > 0 ? (stage.arrived / spent) * 1000 : NaN;
}

/** Copies that are due: a switch without state owes SYNs, ours and our export the whole handshake and a probe's first. */
export function copiesDue(device: Device, work: Work, { load, probes }: Stage): number {
  if (device === "cable") return 0;
  if (work.copies === "all") return load.made - load.refused + probes;
  const stateful = device === "plane" || device === "ebpf";
  return stateful ? load.syns + load.firstAcks + Math.min(1, probes) : load.syns;
}

export interface LinkRow {
  readonly device: Device;
  readonly work: string;
  /** Flat out: million frames for a second of the processor, and for a second of time. */
  readonly perCpuBest: number;
  readonly perCpuMedian: number;
  readonly mpps: number;
  /** At the paced load, medians: frames a second offered, share lost, share of the processor in use. */
  readonly offered: number;
  readonly loss: number;
  readonly busy: number;
  /** At the paced load, all runs together. */
  readonly copied: number;
  readonly due: number;
  readonly rttP50Us: number;
  readonly rttP99Us: number;
  /** The largest share of the processor that others had before a stage: above QUIET_SHARE figures are disturbed. */
  readonly idleShareMax: number;
}

const offeredOf = ({ load, probes }: Stage) => load.made - load.refused + probes;

/** @throws RangeError without runs */
export function linkRow(device: Device, work: Work, runs: readonly LinkRun[]): LinkRow {
  if (runs.length === 0) throw new RangeError(`Cannot judge ${device} on ${work.name}: it has no runs`);
  const of = (value: (run: LinkRun) => number) => median(runs.map(value));
  const sum = (value: (run: LinkRun) => number) => runs.reduce((total, run) => total + value(run), 0);
  // Not more: taking off what neighbours had would reward a run in which they fell silent.
  const idle = Math.min(QUIET_SHARE, ...runs.map(({ idleShare }) => idleShare));
  const perCpu = runs.map(({ flat }) => mppsPerCpu(flat, idle)).filter((one) => !Number.isNaN(one));
  return {
    device,
    work: work.name,
    perCpuBest: device === "cable" || perCpu.length === 0 ? NaN : Math.max(...perCpu),
    perCpuMedian: device === "cable" ? NaN : median(perCpu),
    mpps: of(({ flat }) => (flat.arrived / flat.load.ns) * 1000),
    offered: of(({ paced }) => (offeredOf(paced) / paced.load.ns) * 1e9),
    loss: of(({ paced }) => 1 - paced.arrived / offeredOf(paced)),
    busy: of(({ paced }) => spentNs(paced, idle) / paced.span.elapsedNs),
    copied: sum(({ paced }) => paced.copied),
    due: sum(({ paced }) => copiesDue(device, work, paced)),
    rttP50Us: of((run) => run.rttP50Us),
    rttP99Us: of((run) => run.rttP99Us),
    idleShareMax: Math.max(...runs.map(({ idleShare }) => idleShare)),
  };
}

/** Ours against Open vSwitch, for each work that both were measured on. */
export function linkBars(rows: readonly LinkRow[]): Bar[] {
  return WORKS.flatMap(({ name, bar, goal }) => {
    const of = (device: Device) => rows.find((row) => row.work === name && row.device === device);
    const plane = of("plane"), ovs = of("ovs");
    if (!plane || !ovs) return [];
    const value = plane.perCpuBest / ovs.perCpuBest;
    return [{ what: name, unit: "of Open vSwitch in user space, per CPU second", value, bar, goal }];
  });
}

function linkCells(row: LinkRow, cable: LinkRow | undefined): string[] {
  const number = (value: number, digits: number) => Number.isNaN(value) ? "-" : value.toFixed(digits);
  const percent = (share: number, digits = 2) => `${(share * 100).toFixed(digits)} %`;
  const added = (value: (one: LinkRow) => number) => cable ? number(value(row) - value(cable), 0) : "-";
  const isCable = row.device === "cable";
  return [
    row.work,
    DEVICE_TEXT[row.device],
    number(row.perCpuBest, 3),
    number(row.perCpuMedian, 3),
    number(row.mpps, 3),
    number(row.offered / 1000, 0),
    percent(row.loss),
    isCable ? "-" : percent(row.busy, 0),
    isCable ? "-" : `${row.copied} of ${row.due}`,
    number(row.rttP50Us, 0),
    number(row.rttP99Us, 0),
    isCable ? "-" : added((one) => one.rttP50Us),
    isCable ? "-" : added((one) => one.rttP99Us),
  ];
}

const NOTES =
  `Flat out: as many frames of 64 bytes as one processor makes. "M/CPU s" is million frames that reached the end
for each second of the device's processor, interrupts and the kernel's packet work included: whatever a
thread of the lowest priority there did not get, less the machine's own ticks. Best of the rounds, then median.
Paced: the same load for all. "busy" counts polling in vain. A switch without state owes a copy of each SYN, ours
and our export the ACK behind it too. RTT crosses the device twice; "added" is above the cable's.
There is no bar against tc and eBPF: between its own links the kernel is 2 to 4 times cheaper than any program outside.`;

/** The table with its notes. */
export function linkText(rows: readonly LinkRow[]): string {
  const head = [
    "flat out and paced",
    "device",
    "M/CPU s",
    "median",
    "M/s",
    "paced k/s",
    "lost",
    "busy",
    "copies",
  ];
  const more = ["RTT p50 us", "p99", "added p50", "p99"];
  const cable = rows.find(({ device }) => device === "cable");
  const noise = Math.max(...rows.map((row) => row.idleShareMax));
  const table = align([[...head, ...more], ...rows.map((row) => linkCells(row, cable))], 2);
  const others = `Others on this machine had up to ${(noise * 100).toFixed(0)} % of that processor`;
  const verdict = noise > QUIET_SHARE ? ": the figures are disturbed, and the processor's are too low." : ".";
  return `${table}\n\n${NOTES}\n${others}${verdict}`;
}
