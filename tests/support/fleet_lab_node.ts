/**
 * A node of the fleet as a process of its own, without a plane: agent, and slots that are files. Its argument is JSON; each
 * line that it is sent asks for a line with what its slots and its updater say.
 */
import { createPublicKey } from "node:crypto";
import { TextLineStream } from "../../scripts/bench/lines.ts";
import { type AgentOptions, LabAgent } from "./fleet_lab.ts";

const { publicKey, ...options } = JSON.parse(Deno.args[0]!) as Omit<AgentOptions, "publisher"> & {
  readonly publicKey: string;
};
const agent = await LabAgent.start({ ...options, publisher: { key: createPublicKey(publicKey) } });
const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(TextLineStream());
console.log("{}");
for await (const line of lines) {
  const { id } = JSON.parse(line), { installs, restarts } = agent.updater, view = await agent.updater.view();
  console.log(JSON.stringify({ id, installs, restarts, view }));
}
await agent.end();
