/**
 * Duty: carries out what a controller orders of updates on this node: fetch and install, stop that, restart, roll back.
 *
 * Installed is what the updater says; whether the new version is good, the node says itself after the restart. The one
 * bundle before is kept, because the next one is made of most of it.
 */
import { reasonOf } from "../../../drivers/reason.ts";
import type { Updater } from "../../update/contract.ts";
import type { CommandContext, Executed, Executors } from "../contract.ts";
import type { CommandArguments } from "../kinds.ts";
import { keepOnly, listBundles } from "./bundles.ts";
import { fetchBundle, type Fetched, FetchError, type Progress } from "./fetch.ts";
import { type Get, getAny } from "./get.ts";

export interface UpdateMeans {
  readonly updater: Updater;
  /** Where bundles are kept. */
  readonly directory: string;
  /** "https://fleet.example:8444": for sources that are paths. */
  readonly controller: string;
  /** How the controller is asked. */
  readonly get: Get;
  /** Besides the bundle before: devices of the slots. */
  readonly like?: readonly string[];
  /** Lets the answer leave before the machine goes down. Milliseconds. @default 1000 */
  readonly restartDelayMs?: number;
  /** From a transfer that was cut to the first further try; then twice as long each time. Milliseconds. @default 2000 */
  readonly retryMs?: number;
}

const RETRY_MS = 2000;
const RETRY_MS_MAX = 60_000;

type Offer = CommandArguments<"update.offer">;

export function updateExecutors(means: UpdateMeans): Executors {
  const transfers = new Map<number, AbortController>();
  return {
    "update.offer": async (offer, context) => {
      const stop = new AbortController();
      transfers.set(context.number, stop);
      try {
        return await carryOut(means, offer, {
          ...context,
          signal: AbortSignal.any([context.signal, stop.signal]),
        });
      } finally {
        transfers.delete(context.number);
      }
    },
    "update.cancel": ({ command }) => {
      const transfer = transfers.get(command);
      transfer?.abort();
      return Promise.resolve(
        transfer === undefined
          ? { outcome: "refused", text: `command ${command} fetches nothing` }
          : { outcome: "done", text: `the transfer of command ${command} was stopped` },
      );
    },
    "update.restart": ({ digest }) => restart(means, digest),
    "update.roll-back": async () => {
      await means.updater.rollBack();
      return { outcome: "done", text: "the other slot starts next" };
    },
  };
}

async function carryOut(means: UpdateMeans, offer: Offer, context: CommandContext): Promise<Executed> {
  const { updater, directory, controller, get } = means, { digest, bytes, sources, force } = offer;
  const before = await updater.view();
  if (before.badVersions.includes(offer.version) && !force) {
    return { outcome: "refused", text: `${offer.version} fell back here before` };
  }
  const isOwn = (url: string) => url.startsWith(`${controller}/`);
  const { path, fetched, copied } = await patiently(means, context, async () =>
    await fetchBundle({
      digest,
      bytes,
      sources: sources.map((source) => source.startsWith("/") ? `${controller}${source}` : source),
    }, {
      directory,
      like: [...await listBundles(directory), ...means.like ?? []],
      bytesPerSecondMax: offer.bytesPerSecondMax ?? null,
      signal: context.signal,
      progress: (told) => context.progress(words(told), Math.floor(100 * told.bytes / told.total)),
      get: (url, range, signal) => (isOwn(url) ? get : getAny)(url, range, signal),
    }));
  context.progress("installs it", 100);
  try {
    const { outcome, reason } = await updater.install(path, { digest, force });
    await keepOnly(directory, path);
    const data = { fetched, copied, bytes };
    return outcome === "refused" ? { outcome: "refused", text: reason, data } : {
      outcome: "done",
      text: `${offer.version} is installed: ${fetched} bytes fetched, ${copied} copied`,
      data,
    };
  } catch (error) {
    return { outcome: "refused", text: reasonOf(error) };
  }
}

/** A network that fails for a while is no fault of the bundle: again and again, until the time of the offer is over. */
async function patiently(
  { retryMs = RETRY_MS }: UpdateMeans,
  { untilMs, signal, progress }: CommandContext,
  work: () => Promise<Fetched>,
): Promise<Fetched> {
  for (let tries = 0;; tries++) {
    try {
      return await work();
    } catch (error) {
      const waitMs = Math.min(retryMs * 2 ** tries, RETRY_MS_MAX);
      if (!(error instanceof FetchError) || !error.isCut || Date.now() + waitMs > untilMs) throw error;
      progress(`${reasonOf(error)}; again in ${Math.ceil(waitMs / 1000)} s`);
      await pause(waitMs, signal);
    }
  }
}

/** @throws Error: it was stopped */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
  if (signal.aborted) throw new Error("the transfer was stopped");
}

function words({ bytes, total, fetched }: Progress): string {
  return `${bytes} of ${total} bytes are here, ${fetched} came over the network`;
}

async function restart({ updater, restartDelayMs = 1000 }: UpdateMeans, digest: string): Promise<Executed> {
  const { slots } = await updater.view(), other = slots.find(({ booted }) => !booted);
  if (other?.digest !== digest || other.state !== "trial") {
    const has = other?.digest?.slice(0, 12) ?? "nothing";
    return { outcome: "refused", text: `the other slot holds ${has}, ${other?.state ?? "empty"}` };
  }
  setTimeout(() => void updater.restart(), restartDelayMs);
  return { outcome: "done", text: `restarts into slot ${other.name}` };
}
