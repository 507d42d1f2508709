/** The keys of [[vnf]], a part of the table in config_keys.ts. Pure. */
import { BOX } from "../filter/names.ts";
import { type Keys, pathFault } from "./config_key.ts";

const COMMAND_FORM = "a command for /bin/sh, at most 2000 characters";

function commandFault(text: string): string | null {
  if (text.trim() === "" || text.length > 2000) return "is no command";
  return text.includes("\0") ? "holds a control character" : null;
}

function command(absent: string, example: string, help: string) {
  return {
    type: "text",
    default: null,
    absent,
    form: COMMAND_FORM,
    fault: commandFault,
    example,
    help,
  } as const;
}

function ms(value: number, [min, max]: readonly [number, number], help: string) {
  return { type: "integer", min, max, default: value, help } as const;
}

export const VNF = {
  name: {
    type: "text",
    required: true,
    default: null,
    form: "1 to 31 letters, digits, dots, dashes and underscores",
    fault: (text) => /^[A-Za-z0-9._-]{1,31}$/.test(text) ? null : "is no name of a VNF",
    example: "fw-b",
    help: "Names the VNF in commands and events. No two share a name.",
  },
  box: {
    type: "choice",
    choices: BOX,
    default: "redundant",
    help: "The box that it is: its ports are those of this pair.",
  },
  in: {
    type: "choice",
    choices: ["namespace", "nspawn", "unit", "host"],
    default: "namespace",
    help:
      "Where the commands run: in a network namespace (`ip netns`), `start` in a container of systemd-nspawn or " +
      "as a transient unit of systemd-run and the others beside it, or all on this machine as it is.",
  },
  where: {
    type: "text",
    default: null,
    absent: "only `host` needs none",
    form: "the name of the namespace or of the unit, or the directory of the container",
    fault: (text) => /^[A-Za-z0-9._/@-]{1,200}$/.test(text) ? null : "is no such name",
    example: "fw-b",
    help: "Which namespace, container or unit. A namespace has to be there; the other two are made.",
  },
  start: {
    type: "text",
    required: true,
    default: null,
    form: COMMAND_FORM,
    fault: commandFault,
    example: "exec /usr/sbin/haproxy -W -f /etc/haproxy/b.cfg",
    help: "Starts it.",
  },
  stays: {
    type: "boolean",
    default: true,
    help:
      "Whether `start` runs as long as the VNF does. If not, the VNF is up when `start` ended well, as with " +
      "rules that are loaded into a kernel.",
  },
  health: command("it is up while it runs", "nft list table inet fw", "Asked again and again; 0 is healthy."),
  health_ms: ms(1000, [100, 600_000], "How often it is asked."),
  health_timeout_ms: ms(1000, [50, 60_000], "An answer that takes longer is none."),
  stop: command("it is sent SIGTERM", "nft flush ruleset", "Ends it, before the signal if it still runs."),
  stop_ms: ms(5000, [100, 600_000], "How long it may take to end, before SIGKILL."),
  start_ms: ms(10_000, [100, 600_000], "How long it may take to be up."),
  autostart: {
    type: "boolean",
    default: true,
    help:
      "Whether it is started with the node. A person's last word on it counts for more until the machine restarts.",
  },
  restart_ms: ms(
    500,
    [50, 600_000],
    "How long after its end it is started again; twice as long with each failure.",
  ),
  restart_ms_max: ms(30_000, [50, 3_600_000], "And never longer than that."),
  log: {
    type: "text",
    default: null,
    absent: "what it writes is not kept",
    form: "an absolute path",
    fault: (text) => pathFault(text, 4000),
    example: "/var/log/fw-b.log",
    help: "Where what `start` writes goes, if it stays. Begun anew with each start.",
  },
} as const satisfies Keys;
