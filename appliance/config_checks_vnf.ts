/** What the keys of [[vnf]] have to agree on. Pure. */
import type { View } from "./config_checks.ts";

export const VNFS_MAX = 16;

export function vnfs(view: View): void {
  const number = view.shape.lists.get("vnf") ?? 0;
  if (number > VNFS_MAX) view.problem("vnf", `are ${number}`, `at most ${VNFS_MAX}`);
  const holders = new Map<string, string>();
  for (let i = 0; i < number; i++) {
    const path = `vnf[${i}]`, name = view.text(`${path}.name`);
    const holder = name === null ? undefined : holders.get(name);
    if (holder !== undefined) {
      view.problem(`${path}.name`, `is that of ${holder} as well`, "a name of its own");
    }
    if (name !== null) holders.set(name, path);
    const place = view.text(`${path}.in`);
    if (place !== null && place !== "host" && !view.shape.given.has(`${path}.where`)) {
      view.problem(
        `${path}.where`,
        `is missing, and it is to run in a ${place}`,
        `the name or directory of the ${place}`,
      );
    }
    const [least, most] = ["restart_ms", "restart_ms_max"].map((key) =>
      view.shape.values.get(`${path}.${key}`)
    );
    if (typeof least === "number" && typeof most === "number" && least > most) {
      view.problem(`${path}.restart_ms_max`, `is below restart_ms, ${least}`, `at least ${least}`);
    }
  }
}
