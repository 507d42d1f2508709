/** Duty: the channels of remote ports in `status`. Pure. */
import type { PortView } from "../appliance/view.ts";
import { count, type Painter, table } from "./paint.ts";

/** Nothing where no port is remote. */
export function channelLines(ports: readonly PortView[], paint: Painter): string[] {
  const rows = ports.flatMap(({ role, channel }) =>
    channel === undefined ? [] : [[
      role,
      channel.open ? "open" : "no answer",
      channel.roundTripUs > 0 ? `${(channel.roundTripUs / 1000).toFixed(1)} ms` : "",
      `${channel.unitBytes} B`,
      count(channel.sent),
      count(channel.sentAgain),
      count(channel.farLost),
      count(channel.received),
      count(channel.recovered),
      count(channel.lost),
    ]]
  );
  if (rows.length === 0) return [];
  const head = ["CHANNEL", "IS", "ROUND", "ONE PACKET", "SENT", "AGAIN", "LOST", "CAME", "LATE", "LOST"];
  const [title = "", ...lines] = table([head, ...rows], [2, 3, 4, 5, 6, 7, 8, 9]);
  return ["", paint.bold(title), ...lines];
}

/** A remote port without its settings. */
export function shortSpec(spec: string): string {
  return spec.startsWith("remote:") ? spec.split(",")[0]! : spec;
}
