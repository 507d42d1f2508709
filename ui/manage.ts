/**
 * The commands on configuration, users and tokens: arguments in, exit code out.
 *
 * All is asked of a running node, which is the only one to write its files. A file that is applied is read by the caller.
 */
import type { TokenView, UserView } from "./access/view.ts";
import { describeProblem, type Problem } from "../appliance/config.ts";
import type { ConfigJudged, ConfigVersion, ConfigView } from "../appliance/view_config.ts";
import type { Invocation } from "./arguments.ts";
import { type Terminal, toJson } from "./cli.ts";
import type { RemoteNode } from "./client.ts";
import { EXIT, type Exit } from "./commands.ts";
import { table, wallTime } from "./paint.ts";

export interface ManageMeans {
  readonly terminal: Terminal;
  /** @throws Error with one sentence */
  readonly readFile: (path: string) => Promise<string>;
  /** A password from a person or a pipe; null: none was given, or two that differ. */
  readonly readPassword: () => Promise<string | null>;
}

type Work = (node: RemoteNode, invocation: Invocation, means: ManageMeans) => Promise<Exit>;

/** The work of each command, by its name. */
export const MANAGE: Readonly<Record<string, Work>> = {
  "config show": async (node, _, { terminal }) =>
    told(await node.ask("GET", "/api/v1/config"), terminal, (body) => (body as unknown as ConfigView).text),
  "config diff": diff,
  "config apply": apply,
  "config confirm": async (node, _, { terminal }) =>
    told(await node.ask("POST", "/api/v1/config/confirm"), terminal, said),
  "config rollback": rollback,
  "config history": history,
  "user add": addUser,
  "user remove": async (node, { arguments: [name = ""] }, { terminal }) =>
    told(
      await node.ask("DELETE", `/api/v1/users/${encodeURIComponent(name)}`),
      terminal,
      () => `${name} is removed\n`,
    ),
  "user list": async (node, { options }, { terminal }) =>
    told(
      await node.ask("GET", "/api/v1/users"),
      terminal,
      ({ users }) => options.flag("json") ? toJson(users) : userTable(users as UserView[]),
    ),
  "user role": async (node, { arguments: [name = ""], options }, { terminal }) => {
    const path = `/api/v1/users/${encodeURIComponent(name)}/role`, role = options.text("role") ?? "viewer";
    return told(await node.ask("PUT", path, { body: { role } }), terminal, () => `${name} is ${role}\n`);
  },
  "user password": password,
  "token add": addToken,
  "token list": async (node, { options }, { terminal }) =>
    told(
      await node.ask("GET", "/api/v1/tokens"),
      terminal,
      ({ tokens }) =>
        options.flag("json") ? toJson(tokens) : tokenTable(tokens as TokenView[], terminal.now()),
    ),
  "token revoke": async (node, { arguments: [id = ""] }, { terminal }) =>
    told(
      await node.ask("DELETE", `/api/v1/tokens/${encodeURIComponent(id)}`),
      terminal,
      () => `${id} is revoked\n`,
    ),
};

type Answer = Awaited<ReturnType<RemoteNode["ask"]>>;
type Body = Answer["body"];

const said = ({ said }: Body) => `${said}\n`;

function told({ status, body }: Answer, terminal: Terminal, show: (body: Body) => string): Exit {
  if (status < 400) {
    terminal.out(show(body));
    return EXIT.ok;
  }
  const problems = body.problems as readonly Problem[] | undefined;
  if (problems === undefined) {
    terminal.err(`Cannot do that: ${body.detail ?? `HTTP ${status}`}\n`);
    return EXIT.failed;
  }
  for (const problem of problems) terminal.err(`${describeProblem(problem)}\n`);
  return EXIT.input;
}

async function diff(
  node: RemoteNode,
  { options, arguments: [file = ""] }: Invocation,
  { terminal, readFile }: ManageMeans,
): Promise<Exit> {
  const answer = await node.ask("POST", "/api/v1/config/check", { body: { text: await readFile(file) } });
  const judged = answer.body as unknown as ConfigJudged;
  if (answer.status >= 400 || options.flag("json")) return told(answer, terminal, toJson);
  terminal.out(judged.diff === "" ? `${file} is what is in force.\n` : judged.diff);
  // Problems name the node's own file, but stand in this one.
  const here = (problem: Problem) => describeProblem({ ...problem, file });
  for (const problem of judged.problems) terminal.err(`${here(problem)}\n`);
  for (const warning of judged.warnings) terminal.err(`warning: ${here(warning)}\n`);
  return judged.ok ? EXIT.ok : EXIT.input;
}

async function apply(
  node: RemoteNode,
  { options, arguments: [file = ""] }: Invocation,
  { terminal, readFile }: ManageMeans,
): Promise<Exit> {
  const text = await readFile(file), note = options.text("note");
  const body = { text, confirm_s: options.number("confirm-s"), ...(note !== null && { note }) };
  const answer = await node.ask("PUT", "/api/v1/config", { body, headers: { "if-match": "*" } });
  const problems = (answer.body.problems as Problem[] | undefined)?.map((one) => ({ ...one, file }));
  return told(
    { ...answer, body: { ...answer.body, ...(problems && { problems }) } },
    terminal,
    (body) => said(body) + (body.pending === null ? "" : "Keep it with `remediate config confirm`.\n"),
  );
}

async function rollback(
  node: RemoteNode,
  { options, arguments: [id] }: Invocation,
  { terminal }: ManageMeans,
): Promise<Exit> {
  if (id !== undefined && !/^\d{1,15}$/.test(id)) {
    terminal.err(`Cannot go back to "${id}": that is no number; see \`remediate config history\`\n`);
    return EXIT.input;
  }
  const body = { confirm_s: options.number("confirm-s"), ...(id !== undefined && { id: Number(id) }) };
  return told(await node.ask("POST", "/api/v1/config/rollback", { body }), terminal, said);
}

async function history(
  node: RemoteNode,
  { options, arguments: [id] }: Invocation,
  { terminal }: ManageMeans,
): Promise<Exit> {
  const json = options.flag("json");
  if (id !== undefined) {
    const answer = await node.ask("GET", `/api/v1/config/history/${encodeURIComponent(id)}`);
    return told(
      answer,
      terminal,
      (body) => json ? toJson(body) : String(body.diff) || "There is none before it.\n",
    );
  }
  return told(await node.ask("GET", "/api/v1/config/history"), terminal, ({ versions }) => {
    if (json) return toJson(versions);
    const rows = (versions as ConfigVersion[]).map((
      { id, atMs, who, state, note },
    ) => [String(id), wallTime(atMs), who, state, note]);
    return `${table([["ID", "SINCE (UTC)", "BY", "STATE", "NOTE"], ...rows], [0]).join("\n")}\n`;
  });
}

async function addUser(
  node: RemoteNode,
  { options, arguments: [name = ""] }: Invocation,
  means: ManageMeans,
): Promise<Exit> {
  const password = await means.readPassword();
  if (password === null) return noPassword(means);
  const role = options.text("role");
  const answer = await node.ask("POST", "/api/v1/users", { body: { name, password, role } });
  return told(answer, means.terminal, () => `${name} may come in as ${role}\n`);
}

async function password(
  node: RemoteNode,
  { arguments: [name = ""] }: Invocation,
  means: ManageMeans,
): Promise<Exit> {
  const password = await means.readPassword();
  if (password === null) return noPassword(means);
  const path = `/api/v1/users/${encodeURIComponent(name)}/password`;
  return told(
    await node.ask("PUT", path, { body: { password } }),
    means.terminal,
    () => `the password of ${name} is changed\n`,
  );
}

function noPassword({ terminal }: ManageMeans): Exit {
  terminal.err("Cannot set a password: none was given, or two that differ\n");
  return EXIT.input;
}

async function addToken(
  node: RemoteNode,
  { options, arguments: [name = ""] }: Invocation,
  { terminal }: ManageMeans,
): Promise<Exit> {
  const body = { name, role: options.text("role"), days: options.number("days") };
  const answer = await node.ask("POST", "/api/v1/tokens", { body });
  // The token alone on standard output, so that it can go to a file.
  return told(answer, terminal, ({ token }) => `${token}\n`);
}

function userTable(users: readonly UserView[]): string {
  const rows = users.map(({ name, role, createdMs }) => [name, role, wallTime(createdMs)]);
  return `${table([["NAME", "ROLE", "SINCE (UTC)"], ...rows], []).join("\n")}\n`;
}

function tokenTable(tokens: readonly TokenView[], nowMs: number): string {
  const ends = (ms: number | null) => ms === null ? "never" : ms <= nowMs ? "has ended" : wallTime(ms);
  const rows = tokens.map(({ id, name, role, expiresMs }) => [id, name, role, ends(expiresMs)]);
  return `${table([["ID", "NAME", "ROLE", "ENDS (UTC)"], ...rows], []).join("\n")}\n`;
}
