/** BFD sessions of a configuration: from keys to values, and keys against each other. Pure. */
import { addressBytes, isV4 } from "./address.ts";
import type { Values } from "./config_key.ts";
import { type BFD, BFD_SESSIONS_MAX } from "./config_keys_bfd.ts";
import type { Box } from "./view.ts";

/** One session, with what its keys leave open filled in. */
export interface BfdSession extends Omit<Values<typeof BFD>, "box" | "side" | "gateway"> {
  readonly box: Box;
  readonly side: "up" | "down";
  readonly gateway: string;
}

/** Only for values that passed the first pass. */
export function bfdSession(values: Values<typeof BFD>): BfdSession {
  const { box, side, gateway } = values;
  return { ...values, box: box as Box, side: side as "up" | "down", gateway: gateway ?? values.peer };
}

/** What a check sees of the keys, and where it says what it found. */
export interface BfdKeysView {
  readonly count: number;
  text(path: string): string | null;
  is(path: string, value: string | boolean | number): boolean;
  problem(key: string, reason: string, accepted?: string): void;
  warning(key: string, reason: string, accepted?: string): void;
}

export function checkBfd(view: BfdKeysView): void {
  if (view.count > BFD_SESSIONS_MAX) {
    view.problem("bfd", `are too many: ${view.count}`, `at most ${BFD_SESSIONS_MAX}`);
  }
  const names = new Map<string, number>();
  const places = new Map<string, number>();
  for (let index = 0; index < view.count; index++) {
    const path = `bfd[${index}]`;
    const of = (key: string) => view.text(`${path}.${key}`) ?? "";
    const first = names.get(of("name"));
    if (first !== undefined) view.problem(`${path}.name`, `is the name of bfd[${first}] as well`);
    else if (of("name") !== "") names.set(of("name"), index);
    const place = ["box", "side", "peer", "local"].map(of).join(" ") + view.is(`${path}.multihop`, true);
    const twin = places.get(place);
    if (twin !== undefined) view.problem(path, `is between the same ends as bfd[${twin}]`);
    else places.set(place, index);
    checkAddresses(view, path);
    checkMore(view, path);
  }
}

function checkAddresses(view: BfdKeysView, path: string): void {
  const bytes = (key: string) => {
    const text = view.text(`${path}.${key}`);
    return text === null ? null : addressBytes(text);
  };
  const peer = bytes("peer"), local = bytes("local"), gateway = bytes("gateway");
  if (peer === null || local === null) return;
  if (isV4(peer) !== isV4(local)) {
    view.problem(`${path}.local`, `is of another kind than the peer, ${view.text(`${path}.peer`)}`);
  } else if (peer.every((byte, i) => byte === local[i])) {
    view.problem(`${path}.local`, "is the peer's address");
  }
  if (gateway !== null && isV4(gateway) !== isV4(peer)) {
    view.problem(`${path}.gateway`, "is of another kind than the peer");
  }
}

function checkMore(view: BfdKeysView, path: string): void {
  const authenticated = !view.is(`${path}.auth`, "none");
  const key = view.text(`${path}.key_file`);
  if (authenticated && key === null) {
    view.problem(`${path}.key_file`, "is missing: authentication needs a key", "an absolute path");
  }
  if (!authenticated && key !== null) {
    view.warning(`${path}.key_file`, 'has no effect while auth is "none"', 'auth = "meticulous-sha1"');
  }
  if (!view.is(`${path}.multihop`, true)) return;
  if (!view.is(`${path}.echo_ms`, 0)) {
    view.problem(`${path}.echo_ms`, "cannot be used over several hops (RFC 5883, 3)", "0 (off)");
  }
  if (!authenticated) {
    view.warning(
      `${path}.auth`,
      "is none: over several hops anybody can end the session",
      '"meticulous-sha1"',
    );
  }
}
