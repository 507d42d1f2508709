/** An updater in memory, with two slots and a report, and where it stands in a node; it notes what it is asked. */
import type { Updater, UpdateView } from "../../appliance/update/contract.ts";
import type { UpdateDesk } from "../../ui/update_desk.ts";

export const DIGEST = "ab".repeat(32);
export const VIEW: UpdateView = {
  slots: [
    { name: "A", state: "good", version: "1.0.0", digest: null, triesLeft: 0, booted: true },
    { name: "B", state: "trial", version: "1.1.0<b>", digest: DIGEST, triesLeft: 2, booted: false },
  ],
  installing: { version: "1.2.0", digest: DIGEST, percent: 40 },
  reports: [{
    atMs: 0,
    version: "0.9.0",
    digest: null,
    outcome: "fell-back",
    reason: "control does not answer",
  }],
  badVersions: ["0.9.0"],
};

export function fakeDesk() {
  const calls: string[] = [];
  const updater: Updater = {
    view: () => Promise.resolve(VIEW),
    install: (path, { digest, force }) => {
      calls.push(`install ${path} ${digest.slice(0, 4)} ${force}`);
      if (path.includes("bad")) return Promise.reject(new Error(`Cannot install ${path}: it is bad`));
      return Promise.resolve({
        atMs: 1,
        version: "1.1.0",
        digest,
        outcome: "installed",
        reason: "it is there",
      });
    },
    restart: () => Promise.resolve(void calls.push("restart")),
    rollBack: () => Promise.reject(new Error("Cannot roll back: slot B is empty")),
  };
  const desk: UpdateDesk = {
    updater,
    present: true,
    pathOf: (name) => `/data/update/${name}`,
    take: async (bundle) => {
      const bytes = new Uint8Array(await new Response(bundle).arrayBuffer());
      calls.push(`take ${bytes.length}`);
      return { path: "/data/update/sent.raucb", digest: DIGEST, bytes: bytes.length };
    },
  };
  return { desk, calls };
}
