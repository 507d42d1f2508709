/**
 * Writes docs/licences.md: every package of the lock file, its licence, and whether it is in what is shipped.
 *
 * With `--check` it only says whether the page is up to date. A licence that nobody has agreed to ends it with 1.
 */
import { dirname } from "node:path";

const TOP = dirname(import.meta.dirname!);

export interface Package {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  /** Imported by the program, or by what the program imports; else only by tests and tools. */
  readonly shipped: boolean;
}

/** Leave freedom to ship under Apache-2.0; those below are for tools that are not shipped. */
export const AGREED = ["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD"];
export const AGREED_TOOLS = [...AGREED, "MPL-2.0"];

const SHIPPED = ["filter", "drivers", "appliance", "ui"];

interface Lock {
  readonly npm: Readonly<Record<string, { readonly dependencies?: readonly string[] }>>;
}

/** "@scope/name@1.2.3_peer@4" in its parts. */
export function nameOf(key: string): { name: string; version: string } {
  const at = key.indexOf("@", 1);
  return { name: key.slice(0, at), version: key.slice(at + 1).split("_")[0]! };
}

/** Names that the roots lead to, themselves included. */
export function reached({ npm }: Lock, roots: readonly string[]): ReadonlySet<string> {
  const keyOf = (word: string) =>
    Object.keys(npm).find((key) => key === word || nameOf(key).name === word) ?? null;
  const found = new Set<string>(), open = [...roots];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const key = keyOf(next);
    if (key === null || found.has(key)) continue;
    found.add(key);
    open.push(...npm[key]!.dependencies ?? []);
  }
  return found;
}

async function importedBy(directories: readonly string[], names: readonly string[]): Promise<string[]> {
  const texts: string[] = [await Deno.readTextFile(`${TOP}/mod.ts`)];
  const read = async (path: string) => {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      if (isDirectory) await read(`${path}/${name}`);
      else if (/\.tsx?$/.test(name)) texts.push(await Deno.readTextFile(`${path}/${name}`));
    }
  };
  for (const directory of directories) await read(`${TOP}/${directory}`);
  return names.filter((name) =>
    texts.some((text) => new RegExp(`(from|import\\()\\s*"${name}[/"]`).test(text))
  );
}

async function licenceOf(
  home: string,
  { name, version }: { name: string; version: string },
): Promise<string> {
  const path = `${home}/npm/registry.npmjs.org/${name}/${version}/package.json`;
  const text = await Deno.readTextFile(path).catch(() => null);
  if (text === null) {
    throw new Error(`Cannot tell the licence of ${name}: fetch it with ./scripts/deno install`);
  }
  const { license } = JSON.parse(text);
  return typeof license === "string" ? license : license?.type ?? "none is named";
}

async function denoHome(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

export async function packages(): Promise<Package[]> {
  const lock: Lock = JSON.parse(await Deno.readTextFile(`${TOP}/deno.lock`));
  const home = await denoHome(), all = Object.keys(lock.npm).map((key) => ({ key, ...nameOf(key) }));
  const shipped = reached(lock, await importedBy(SHIPPED, all.map(({ name }) => name)));
  return await Promise.all(all.map(async ({ key, name, version }) => ({
    name,
    version,
    licence: await licenceOf(home, { name, version }),
    shipped: shipped.has(key),
  })));
}

/** Those whose licence nobody has agreed to. */
export function strangers(list: readonly Package[]): Package[] {
  return list.filter(({ licence, shipped }) => !(shipped ? AGREED : AGREED_TOOLS).includes(licence));
}

export function licencesPage(list: readonly Package[]): string {
  const rows = (shipped: boolean) =>
    list.filter((one) => one.shipped === shipped).map((
      { name, version, licence },
    ) => [name, version, licence]);
  const table = (lines: string[][]) => {
    const all = [["package", "version", "licence"], ...lines];
    const width = [0, 1, 2].map((i) => Math.max(...all.map((line) => line[i]!.length)));
    const row = (line: string[]) => `| ${line.map((cell, i) => cell.padEnd(width[i]!)).join(" | ")} |`;
    return [row(all[0]!), `| ${width.map((one) => "-".repeat(one)).join(" | ")} |`, ...lines.map(row)].join(
      "\n",
    );
  };
  return [
    "# Licences",
    "",
    "Made by `./scripts/deno task licences` from the lock file and from what each package says of itself. The program",
    "itself is under Apache-2.0 ([LICENSE](../LICENSE)). DPDK, libpcap and Deno come from the system or from their own",
    "releases, under BSD-3-Clause, BSD-3-Clause and MIT.",
    "",
    "## In what is shipped",
    "",
    table(rows(true)),
    "",
    "## For tests and tools alone",
    "",
    table(rows(false)),
    "",
  ].join("\n");
}

if (import.meta.main) {
  const list = await packages(), path = `${TOP}/docs/licences.md`, page = licencesPage(list);
  const unknown = strangers(list);
  for (const { name, licence } of unknown) {
    console.error(`Cannot ship ${name}: nobody has agreed to ${licence}`);
  }
  const before = await Deno.readTextFile(path).catch(() => "");
  const stale = before !== page;
  if (stale && Deno.args.includes("--check")) {
    console.error("docs/licences.md is out of date: run the task licences");
  } else if (stale) await Deno.writeTextFile(path, page);
  if (unknown.length > 0 || (stale && Deno.args.includes("--check"))) Deno.exit(1);
}
