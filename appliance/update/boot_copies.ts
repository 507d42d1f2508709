/**
 * Duty: the boot state in two copies, of which one is whole at every moment.
 *
 * Written in one order, the first copy before the second, so a whole first copy is never the older one. Surprise: a second
 * copy that a power cut left behind is mended before the first is touched, or the next cut would bring back what was
 * true two changes ago. The boot loader does the same. Pure but for the copies it is given.
 */
import { type BootState, type Copy, decodeCopy, encodeCopy, ROUND, UNKNOWN } from "./boot_state.ts";

/** Where the copies lie. */
export interface Copies {
  read(copy: 1 | 2): Promise<Uint8Array>;
  /** Returns once it is on the disk. */
  write(copy: 1 | 2, bytes: Uint8Array): Promise<void>;
}

export interface BootView {
  readonly state: BootState;
  /** Neither copy is whole, and what is given is a guess. */
  readonly lost: boolean;
}

export async function readBoot(copies: Copies): Promise<BootView> {
  const [one, two] = await both(copies);
  const whole = one ?? two;
  return { state: whole?.state ?? UNKNOWN, lost: whole === null };
}

export async function writeBoot(copies: Copies, state: BootState): Promise<void> {
  const [one, two] = await both(copies);
  const now: Copy = one ?? two ?? { round: 0, state: UNKNOWN };
  if (two?.round !== now.round) await copies.write(2, encodeCopy(now));
  const next = encodeCopy({ round: (now.round + 1) % ROUND, state });
  await copies.write(1, next);
  await copies.write(2, next);
}

async function both(copies: Copies): Promise<[Copy | null, Copy | null]> {
  return [decodeCopy(await copies.read(1)), decodeCopy(await copies.read(2))];
}
