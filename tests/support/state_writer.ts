/**
 * Duty: a process that appends to an embedded repository as fast as it can, and says after each append what is acknowledged.
 * It is there to be killed.
 */
import { EmbeddedRepository } from "../../appliance/repository/embedded.ts";
import { BOUNDS, entries } from "./repository_conformance.ts";

if (import.meta.main) {
  const bounds = { ...BOUNDS, logMax: 1_000_000, recordsMax: 1_000_000 };
  const repository = new EmbeddedRepository({ ...bounds, path: Deno.args[0]!, nowMs: Date.now });
  for (let last = await repository.last("s");; last += 5) {
    const appended = await repository.append("s", entries(last + 1, last + 5));
    Deno.stdout.writeSync(new TextEncoder().encode(`${appended.ok ? appended.last : -1}\n`));
  }
}
