/**
 * Checks of the repository that no compiler makes: notes left behind, machine paths, execute bits, headers,
 * links in the documents, sizes.
 *
 * Pure: takes the files as values and returns sentences. The words looked for are put together from pieces here,
 * so that this file does not report itself.
 */
import edges from "./edges.json" with { type: "json" };
import { firstComment, headerProblem } from "./honest.ts";
import { nativeProblems } from "./native.ts";
import { resolve } from "./place.ts";
import { FILE_LINES_MAX, lineCount } from "./sizes.ts";

export interface RepoFile {
  /** From the top of the repository. */
  readonly path: string;
  /** null: not text. */
  readonly text: string | null;
  readonly bytes: number;
  readonly executable: boolean;
}

export interface RepoCheck {
  readonly name: string;
  readonly hint: string;
  run(files: readonly RepoFile[]): string[];
}

const FILE_BYTES_MAX = 1024 * 1024;
const SCRIPT = /^#!.*\b(bash|sh|deno)\b/;
const NATIVE = /\.[ch]$/;

type Pattern = readonly [RegExp, string];
const word = (...pieces: readonly (readonly [string, string])[]) => pieces.map(([a, b]) => a + b).join("|");
const NOTES = word(["TO", "DO"], ["FIX", "ME"], ["XX", "X"]);
const TOOLS = word(["Clau", "de"], ["Anthro", "pic"], ["Chat", "GPT"], ["Copi", "lot"]);
const LEFT_BEHIND: readonly Pattern[] = [
  [new RegExp(`\\b(${NOTES})\\b`), "a note to do something later"],
  [/^(<{7}|>{7}) /, "a merge conflict"],
];
const ELSEWHERE: readonly Pattern[] = [
  [/(^|[\s"'`(=:])\/(work|root|home)\/[\w.]/, "a path of one machine"],
  [new RegExp(`\\b(${TOOLS})\\b`, "i"), "the name of a tool"],
  [/[\w.+-]+@(?!([\w-]+\.)*example\b)[\w-]+\.(com|org|net|io|de)\b/, "an address of a person"],
];

/** Lines of text files that match one of the patterns. */
function grep(files: readonly RepoFile[], patterns: readonly Pattern[]): string[] {
  return files.flatMap((file) =>
    (file.text ?? "").split("\n").flatMap((line, index) =>
      patterns.filter(([pattern]) => pattern.test(line)).map(([, what]) =>
        `${file.path}:${index + 1} has ${what}`
      )
    )
  );
}

function isScript(file: RepoFile): boolean {
  return SCRIPT.test(file.text ?? "");
}

function bits(files: readonly RepoFile[]): string[] {
  return files.flatMap((file) => {
    if (isScript(file) === file.executable) return [];
    return [
      `${file.path} ${
        file.executable ? "has an execute bit and no #! line" : "has a #! line and no execute bit"
      }`,
    ];
  });
}

/** C files and shell scripts; TypeScript has the lint rule. */
function headers(files: readonly RepoFile[]): string[] {
  return files.flatMap((file) => {
    const shell = isScript(file) && !file.path.endsWith(".ts");
    if (!shell && !NATIVE.test(file.path)) return [];
    const text = file.text ?? "";
    const comment = shell ? /^#!.*\n((?:#.*\n)+)/.exec(text)?.[1] : firstComment(text);
    const problem = headerProblem(comment);
    return problem === null ? [] : [`${file.path} ${problem}`];
  });
}

function sizes(files: readonly RepoFile[]): string[] {
  return files.flatMap((file) => {
    const text = file.text ?? "";
    if (NATIVE.test(file.path)) return nativeProblems(file.path, text);
    if (isScript(file) && lineCount(text) > FILE_LINES_MAX) {
      return [`${file.path} has ${lineCount(text)} lines, the limit is ${FILE_LINES_MAX}`];
    }
    return file.bytes > FILE_BYTES_MAX
      ? [`${file.path} has ${file.bytes} bytes, the limit is ${FILE_BYTES_MAX}`]
      : [];
  });
}

function ends(files: readonly RepoFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    if (text === null || text === "") return [];
    return text.endsWith("\n") && !text.endsWith("\n\n")
      ? []
      : [`${path} does not end with exactly one line break`];
  });
}

/** The anchor GitHub and other renderers give a heading. */
export function anchorOf(heading: string): string {
  return heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
}

/** The document without its fenced code. */
function prose(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, "");
}

function anchors(text: string): Set<string> {
  return new Set([...prose(text).matchAll(/^#{1,6} (.*)$/gm)].map((found) => anchorOf(found[1] ?? "")));
}

function linkProblem(file: RepoFile, target: string, texts: ReadonlyMap<string, string>): string | null {
  if (/^[a-z]+:/i.test(target)) return null;
  const [where = "", anchor] = target.split("#");
  const path = where === ""
    ? file.path
    : resolve(file.path, where.startsWith(".") ? where : `./${where}`) ?? where;
  const folder = path.replace(/\/$/, "");
  const isFolder = folder === "" || [...texts.keys()].some((name) => name.startsWith(`${folder}/`));
  const text = texts.get(path);
  if (text === undefined && !isFolder) return `${file.path} links to ${target}, which is not there`;
  if (anchor === undefined || text === undefined || anchors(text).has(anchor)) return null;
  return `${file.path} links to ${target}, which has no such heading`;
}

function links(files: readonly RepoFile[]): string[] {
  const texts = new Map(files.map((file) => [file.path, file.text ?? ""]));
  return files.filter((file) => file.path.endsWith(".md")).flatMap((file) =>
    [...prose(file.text ?? "").matchAll(/\]\(([^()\s]+)\)/g)].flatMap((found) =>
      linkProblem(file, found[1] ?? "", texts) ?? []
    )
  );
}

/** An exception that outlives its file would let the next one in. */
export function staleEdges(files: readonly RepoFile[], listed: Readonly<Record<string, string>>): string[] {
  const paths = files.map((file) => file.path);
  return Object.keys(listed)
    .filter((edge) => !paths.some((path) => edge.endsWith("/") ? path.startsWith(edge) : path === edge))
    .map((edge) => `scripts/lint/edges.json names ${edge}, which is not there`);
}

export const REPO_CHECKS: readonly RepoCheck[] = [
  {
    name: "nothing left behind",
    hint: "finish it or open an issue",
    run: (files) => grep(files, LEFT_BEHIND),
  },
  { name: "nothing of one machine", hint: "use a path from the top", run: (files) => grep(files, ELSEWHERE) },
  { name: "execute bits", hint: "chmod +x scripts, and nothing else", run: bits },
  { name: "header comments", hint: "say the duty of the file first", run: headers },
  { name: "sizes of C, scripts and data", hint: "split what does two things", run: sizes },
  { name: "ends of files", hint: "one line break, no blank lines", run: ends },
  { name: "edges are files", hint: "take the line out", run: (files) => staleEdges(files, edges) },
  { name: "links in documents", hint: "mend the link or write what it promises", run: links },
];
