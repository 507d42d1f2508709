/** Duty: what is really run for a command of a template. Pure. */
import type { VnfTemplate } from "./life.ts";

type Where = Pick<VnfTemplate, "in" | "where">;

const shell = (command: string) => ["/bin/sh", "-c", command];

/** Of `start`. */
export function startArgv({ in: place, where }: Where, command: string): readonly string[] {
  switch (place) {
    case "namespace":
      return ["ip", "netns", "exec", where ?? "", ...shell(command)];
    case "nspawn":
      return ["systemd-nspawn", "--quiet", "--keep-unit", "--directory", where ?? "", ...shell(command)];
    case "unit":
      return ["systemd-run", "--quiet", "--collect", "--wait", "--unit", where ?? "", ...shell(command)];
    case "host":
      return shell(command);
  }
}

/** Of `health` and `stop`: a container or a unit is asked from outside. */
export function besideArgv(template: Where, command: string): readonly string[] {
  return template.in === "namespace" ? startArgv(template, command) : shell(command);
}

/** What ends it before the signal; null: the signal alone. */
export function stopArgv(template: Where & Pick<VnfTemplate, "stop">): readonly string[] | null {
  if (template.stop !== null) return besideArgv(template, template.stop);
  // The child only waits for the unit: ending it would leave the unit running.
  return template.in === "unit" ? ["systemctl", "stop", template.where ?? ""] : null;
}
