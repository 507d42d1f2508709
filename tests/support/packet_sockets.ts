/**
 * Duty: waiting for programs that take frames off an interface: what is sent before their socket is bound they never see.
 */
import type { Lab } from "../../scripts/lab/engine.ts";
import { sleep } from "../../scripts/lab/process.ts";

const LISTENS_MS_MAX = 30_000;

/** Waits until a program in this namespace has a packet socket that is bound to an interface. @throws Error */
export async function listens(lab: Lab, ns: string): Promise<void> {
  for (const deadline = Date.now() + LISTENS_MS_MAX; Date.now() < deadline; await sleep(20)) {
    // sk RefCnt Type Proto Iface R Rmem User Inode
    const sockets = (await lab.exec(ns, ["cat", "/proc/net/packet"])).trim().split("\n").slice(1);
    if (
      sockets.some((line) => Number(line.trim().split(/\s+/)[4]) > 0 && / 1 +\d+ +\d+ +\d+ *$/.test(line))
    ) {
      return;
    }
  }
  throw new Error(`Cannot see a program that listens in ${ns}`);
}
