/**
 * From a configuration to the text of an exported filter.
 *
 * Pure: the compiler of expressions, which needs libpcap, is handed in.
 */
import type { Config } from "../appliance/config.ts";
import type { BpfProgram } from "../filter/bpf.ts";
import type { ExportFormat, ExportInput } from "../filter/export.ts";
import { exportClick } from "../filter/export_click.ts";
import { exportEbpf } from "../filter/export_ebpf.ts";
import { exportP4 } from "../filter/export_p4.ts";
import type { AgesMs } from "../filter/model.ts";

const EXPORTERS: Readonly<Record<ExportFormat, (input: ExportInput) => string>> = {
  ebpf: exportEbpf,
  click: exportClick,
  p4: exportP4,
};

export interface ExportWish {
  readonly format: ExportFormat;
  /** Leave out what the target cannot express. */
  readonly partial: boolean;
  readonly compile: (expression: string) => BpfProgram;
}

/** @throws RangeError or SyntaxError for a rule that the target cannot express */
export function exportFilter(config: Config, { format, partial, compile }: ExportWish): string {
  const rules = config.filter.rules.map((rule) => ({ rule, program: compile(rule.match) }));
  const { tcpOpeningS, tcpS, tcpClosingS, udpS, icmpS, otherS } = config.filter.ages;
  const ages: AgesMs = {
    tcp_opening: tcpOpeningS * 1000,
    tcp: tcpS * 1000,
    tcp_closing: tcpClosingS * 1000,
    udp: udpS * 1000,
    icmp: icmpS * 1000,
    other: otherS * 1000,
  };
  return EXPORTERS[format]({ rules, ages, flowsMax: 2 * config.plane.flowSlots, partial });
}
