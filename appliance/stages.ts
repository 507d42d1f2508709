/**
 * A chain of boxes: from one configuration to that of each stage.
 *
 * Pure. A stage is a node like any other, with ports of its own and directories of its own below those of the whole.
 * What leaves one stage downstream enters the next one upstream through shared memory, whose name is made from the
 * directory of the node, so that two nodes on one machine have two.
 */
import { parse, stringify } from "smol-toml";
import { NODE } from "./config_keys.ts";

type Table = Record<string, unknown>;

const PORT_KEYS = ["primary_in", "primary_out", "redundant_in", "redundant_out"] as const;

/** Names of the stages behind the first one, in order, of a text without problems. */
export function stageNames(text: string): string[] {
  return tables(parse(text)).map(({ name }) => String(name));
}

/**
 * The configuration of one stage. `stage`: its name; null: the first, which is the text itself if there is no other.
 * Null if the text has no such stage.
 */
export function stageText(text: string, stage: string | null): string | null {
  const root = parse(text) as Table;
  const stages = tables(root);
  if (stages.length === 0) return stage === null ? text : null;
  const index = stage === null ? 0 : stages.findIndex(({ name }) => name === stage) + 1;
  if (stage !== null && index === 0) return null;
  return stringify(project(root, stages, index));
}

/** Where a stage keeps what the node keeps in `directory`. */
export function stageDirectory(directory: string, stage: string | null): string {
  return stage === null ? directory : `${directory}/${stage}`;
}

function tables(root: Table): Table[] {
  return Array.isArray(root.stage) ? root.stage as Table[] : [];
}

function table(value: unknown): Table {
  return (value ?? {}) as Table;
}

/** What is about certain boxes is about those of the first stage. */
const FIRST_ONLY = ["redundant", "bfd", "probe", "check", "drill", "switch", "vnf", "driver"];

/** Stage `index`, 0 being the first. */
function project(root: Table, stages: readonly Table[], index: number): Table {
  const { stage: _, api, ...common } = root;
  const rest = Object.fromEntries(
    Object.entries(common).filter(([name]) => index === 0 || !FIRST_ONLY.includes(name)),
  );
  const node = table(root.node), ports = table(root.ports), plane = table(root.plane);
  const runtime = String(node.runtime_directory ?? NODE.runtime_directory.default),
    state = String(node.state_directory ?? NODE.state_directory.default);
  const link = (number: number, role: string) => `memif:@${runtime}/${number},role=${role}`;
  const own = index === 0 ? ports : stages[index - 1]!;
  const last = index === stages.length;
  const projected: Table = {
    ...rest,
    // Checks name boxes of the node's own ports, which are those of the first stage.
    ports: {
      upstream: index === 0 ? ports.upstream : link(index, "client"),
      downstream: last ? ports.downstream : link(index + 1, "server"),
      ...Object.fromEntries(PORT_KEYS.map((key) => [key, own[key]])),
    },
  };
  if (index === 0) {
    return { ...projected, ...(api !== undefined && { api }) };
  }
  const name = String(own.name), capture = table(root.capture), recorder = table(root.recorder);
  projected.node = {
    ...node,
    name: `${node.name ?? NODE.name.default}-${name}`,
    runtime_directory: stageDirectory(runtime, name),
    state_directory: stageDirectory(state, name),
  };
  projected.filter = { ...table(root.filter), ...(own.preset !== undefined && { preset: own.preset }) };
  // Each stage takes the processors behind those of the one before.
  const cores = Number(plane.cores ?? 1);
  if (plane.core !== undefined) projected.plane = { ...plane, core: Number(plane.core) + index * cores };
  if (capture.directory !== undefined) {
    projected.capture = { ...capture, directory: stageDirectory(String(capture.directory), name) };
  }
  if (recorder.directory !== undefined) {
    projected.recorder = { ...recorder, directory: stageDirectory(String(recorder.directory), name) };
  }
  return projected;
}
