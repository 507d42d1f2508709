/** What the keys of [drill] have to agree on. Pure. */
import { hostBytes } from "./address.ts";
import type { View } from "./config_checks.ts";

export function drill(view: View): void {
  const client = view.text("drill.client"), server = view.text("drill.server");
  if (client === null && server !== null) view.problem("drill.client", "is missing: drill.server is given");
  if (client !== null && server === null) view.problem("drill.server", "is missing: drill.client is given");
  if (client === null || server === null) return;
  const bytes = hostBytes(client)?.length;
  for (const key of ["drill.server", "drill.gateway"]) {
    const address = view.text(key);
    if (address !== null && hostBytes(address)?.length !== bytes) {
      view.problem(
        key,
        "is of another kind than drill.client",
        bytes === 4 ? "an IPv4 address" : "an IPv6 address",
      );
    }
  }
  if (client === server) view.problem("drill.server", "is the client's address as well", "another address");
  if (view.is("drill.tcp_port", 0) && !view.is("drill.idle_s", 0)) {
    view.problem(
      "drill.idle_s",
      "is of a TCP canary, and drill.tcp_port is off",
      "0, or a port in drill.tcp_port",
    );
  }
  if (view.is("drill.twin", true) && view.is("drill.idle_s", 0)) {
    view.problem(
      "drill.twin",
      "is of silent canaries, and drill.idle_s is off",
      "false, or seconds in drill.idle_s",
    );
  }
  const silent = ["drill.tcp_port", "drill.udp_port"].every((key) => view.is(key, 0)) &&
    view.is("drill.icmp", false);
  if (silent) {
    view.problem("drill.tcp_port", "is off, and so is every other kind of canary", "at least one kind");
  }
}
