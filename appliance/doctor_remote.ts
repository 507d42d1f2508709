/**
 * Duty: from facts about a port of a box elsewhere to findings about it: its key, the way to its far end, and what fits.
 *
 * Pure. Whether the far end answers is seen by the plane, not asked here.
 */
import type { Config, Port } from "./config.ts";
import { REMOTE_OVERHEAD_BYTES } from "./config_remote.ts";
import type { RemoteFacts } from "./doctor_facts.ts";
import { fail, type Finding, ok, warn } from "./doctor_finding.ts";

const KEY_BYTES_MIN = 16;
const SIX_MORE_BYTES = 20;

export function remoteFaults(
  seen: RemoteFacts,
  config: Config,
  { port, topic }: { readonly port: Port; readonly topic: string },
): Finding[] {
  const { keyFile, address, mtu } = port.remote!;
  const found: Finding[] = [];
  const make = `head -c 32 /dev/urandom | base64 >${keyFile}; chmod 600 ${keyFile}; copy it to the far end`;
  if (seen.keyBytes === null) found.push(fail(topic, `The key ${keyFile} is not there.`, make));
  else if (seen.keyBytes < KEY_BYTES_MIN) {
    found.push(fail(topic, `The key ${keyFile} has ${seen.keyBytes} bytes, too few.`, make));
  }
  if (seen.keyMode !== null && (seen.keyMode & 0o077) !== 0) {
    found.push(warn(topic, `Others may read the key ${keyFile}.`, `chmod 600 ${keyFile}`));
  }
  if (seen.routed === false) {
    found.push(warn(topic, `There is no route to the far end ${address}.`, "ip route add"));
  }
  const way = mtu ?? seen.mtu;
  if (way === null) return found;
  const least = config.plane.frameBytesMax + REMOTE_OVERHEAD_BYTES +
    (address.startsWith("[") ? SIX_MORE_BYTES : 0);
  const whole = way - (least - config.plane.frameBytesMax);
  if (way < least) {
    const text =
      `Frames above ${whole} bytes go to ${address} in parts: its way takes packets of ${way} bytes.`;
    found.push(
      warn(topic, text, `an MTU of ${least} on the way there, or leave it so: it costs packets, not frames`),
    );
  } else found.push(ok(topic, `Every frame fits into one packet to ${address} (MTU ${way}).`));
  return found;
}
