/** Duty: the updater of a machine that has no slots: it says so, whatever it is asked. Pure. */
import type { Updater } from "./contract.ts";

export class NoSlotsError extends Error {
  override readonly name = "NoSlotsError";
}

/** @param reason a sentence's end: why there are none */
export function absentUpdater(reason: string): Updater {
  const refuse = (verb: string) =>
    Promise.reject(
      new NoSlotsError(
        `Cannot ${verb}: this machine does not run from an appliance image (${reason}); update it as it was installed`,
      ),
    );
  return {
    view: () => refuse("show updates"),
    install: (path) => refuse(`install ${path}`),
    restart: () => refuse("restart into an update"),
    rollBack: () => refuse("roll back"),
  };
}
