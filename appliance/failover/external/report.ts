/** What the conversation with an external switch is given, and what it tells. Pure types. */
import type { Message } from "../../../drivers/openflow/messages.ts";
import type { Judgement } from "./plan.ts";
import type { SwitchSettings } from "./settings.ts";

export type Phase =
  | "greeting"
  | "learning"
  | "reading"
  | "changing"
  | "verified"
  | "stuck"
  | "leaving"
  | "left";

export type Report =
  | { readonly kind: "identified"; readonly datapath: bigint }
  /** `repaired`: what somebody else had changed; `changed`: how many changes were made in all. */
  | { readonly kind: "verified"; readonly repaired: readonly string[]; readonly changed: number }
  | { readonly kind: "stuck"; readonly reason: string }
  | { readonly kind: "port"; readonly role: string; readonly port: string; readonly live: boolean }
  /** The order of boxes that the switch was found with. */
  | { readonly kind: "order"; readonly order: readonly number[] }
  | { readonly kind: "left" };

export interface Step {
  readonly send: readonly Message[];
  readonly reports: readonly Report[];
  /** Why the connection has to end; null: it goes on. */
  readonly close: string | null;
}

export interface SessionOptions {
  /** Who this is, or why it is not wanted. Asked once. */
  readonly identify: (datapath: bigint) => SwitchSettings | string;
  readonly cookie: bigint;
  /** null: nobody has decided yet, and what the switch holds may be taken over. */
  readonly judgement: Judgement | null;
  readonly boxes: number;
  /** Those that have left, while nobody has decided yet. */
  readonly left: readonly number[];
}
