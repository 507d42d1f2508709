/**
 * Duty: ask a switch for all that it holds.
 */
import type { Channel } from "./channel.ts";
import { piecesOf } from "./ear.ts";
import type { FlowDescription, FlowQuery } from "./multipart.ts";
import { ALL_TABLES, GROUP_ANY, PORT } from "./names.ts";
import type { PieceBody } from "./piece.ts";

export interface SurveyPart {
  readonly kind: PieceBody["kind"];
  readonly found: readonly { readonly body: PieceBody; readonly ageMs: number }[];
}

export const ALL_FLOWS: FlowQuery = {
  ...{ kind: "flow", table: ALL_TABLES, outPort: PORT.any, outGroup: GROUP_ANY },
  ...{ cookie: 0n, cookieMask: 0n, match: [] },
};

/** Flows with their counters. @throws Error where the switch refuses, or is not there */
export async function askFlows(channel: Channel): Promise<FlowDescription[]> {
  return (await channel.ask(ALL_FLOWS)).flatMap((one) => one.kind === "flow" ? one.flows : []);
}

/** Meters are an optional part of 1.3: a switch that has none may refuse the question. */
export async function survey(channel: Channel): Promise<SurveyPart[]> {
  const flows = await channel.ask(ALL_FLOWS);
  const groups = await channel.ask({ kind: "group-desc" });
  const meters = await channel.ask({ kind: "meter-config" }).catch((error: Error) => {
    if (!channel.isReady) throw error;
    return null;
  });
  return [
    ...(meters === null ? [] : [{ kind: "meter-mod" as const, found: meters.flatMap(piecesOf) }]),
    { kind: "group-mod", found: groups.flatMap(piecesOf) },
    { kind: "flow-mod", found: flows.flatMap(piecesOf) },
  ];
}
