/** Routes of updates: slots and reports, a bundle in, install, restart, back. A part of the table in routes.ts. */
import { NoSlotsError } from "../appliance/update/absent.ts";
import { bad, have, Refused } from "./refused.ts";
import { type ApiMeans, gives, LIST, type Route, TEXT, YES_NO } from "./route.ts";
import { members } from "../appliance/schema.ts";

const HEX = /^[0-9a-f]{64}$/i;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.raucb$/;

const desk = (means: ApiMeans) => have(means.update ?? null, "updates here: ask the first stage");

/** What the updater refuses is refused in its words. */
async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof NoSlotsError) throw new Refused(404, "No appliance image", error.message);
    throw new Refused(409, "Not done", error.message);
  }
}

export const UPDATE_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/update",
    name: "update",
    summary: "Slots, reports of updates, versions that failed",
    role: "viewer",
    answers: gives("As of now; the youngest report last.", {
      ...{ slots: LIST, reports: LIST, badVersions: { type: "array", items: TEXT } },
    }),
    work: async (_, means) => await told(desk(means).updater.view()),
  },
  {
    method: "PUT",
    path: "/api/v1/update/bundle",
    name: "updateBundle",
    summary: "Send a bundle in; nothing is installed yet",
    role: "admin",
    stream: "application/octet-stream",
    answers: gives("Where it lies, and its SHA-256.", { path: TEXT, digest: TEXT }),
    work: async ({ stream }, means) => {
      if (stream === null) throw bad("The bundle is missing");
      return await told(desk(means).take(stream));
    },
  },
  {
    method: "POST",
    path: "/api/v1/update/install",
    name: "updateInstall",
    summary: "Write a bundle that lies on the machine into the slot that does not run",
    role: "admin",
    body: members({
      file: {
        type: "string",
        maxLength: 128,
        default: "sent.raucb",
        description: "its name, sent.raucb if it was sent",
      },
      digest: { type: "string", maxLength: 64, description: "its SHA-256, in hexadecimal" },
      force: { type: "boolean", default: false },
    }, ["digest"]),
    answers: gives("The report.", { outcome: TEXT, reason: TEXT }),
    work: async ({ body }, means) => {
      const file = String(body.file ?? "sent.raucb"), digest = String(body.digest);
      if (!FILE_NAME.test(file)) throw bad(`"file" is "${file}"; accepted: a name that ends in .raucb`);
      if (!HEX.test(digest)) throw bad(`"digest" is "${digest}"; accepted: 64 hexadecimal digits`);
      const { updater, pathOf } = desk(means);
      return await told(updater.install(pathOf(file), { digest, force: body.force === true }));
    },
  },
  {
    method: "POST",
    path: "/api/v1/update/restart",
    name: "updateRestart",
    summary: "Restart the machine, into the slot that is first",
    role: "admin",
    answers: gives("It restarts.", { ok: YES_NO, text: TEXT }),
    work: async (_, means) => {
      await told(desk(means).updater.restart());
      return { ok: true, text: "the machine restarts" };
    },
  },
  {
    method: "POST",
    path: "/api/v1/update/rollback",
    name: "updateRollback",
    summary: "Start from the other slot next time, if it was good once",
    role: "admin",
    answers: gives("It is first.", { ok: YES_NO, text: TEXT }),
    work: async (_, means) => {
      await told(desk(means).updater.rollBack());
      return { ok: true, text: "the other slot is started next" };
    },
  },
];
