/**
 * Where a file stands: its layer in the chain, and whether it may touch the world.
 *
 * The chain is `filter <- drivers <- appliance <- ui <- mod.ts`; a file may import from its own layer and from
 * those to its left. Files of these layers are pure (values in, values out) unless edges.json names them with
 * a reason; a name there that ends in a slash stands for a folder.
 */
import edges from "./edges.json" with { type: "json" };

const CHAIN = ["filter", "drivers", "appliance", "ui", "mod.ts"] as const;
/** May import anything; nothing in the chain imports them. */
const OUTSIDE = ["scripts", "tests"] as const;

/** Data that every layer may read: the name and version of the product. */
const MANIFEST = "deno.json";

export type Layer = (typeof CHAIN)[number] | (typeof OUTSIDE)[number] | "elsewhere";

const TOP = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** Path from the top of the repository, with slashes; a path outside of it is returned as it is. */
export function fromTop(filename: string, top = TOP): string {
  const plain = filename.replaceAll("\\", "/");
  return plain.startsWith(top) ? plain.slice(top.length) : plain.replace(/^\.\//, "");
}

/** `path` is from the top of the repository. */
export function layerOf(path: string): Layer {
  const first = path.split("/")[0] ?? "";
  return [...CHAIN, ...OUTSIDE].find((layer) => layer === first) ?? "elsewhere";
}

/** May a file of layer `from` import a file of layer `to`? */
export function mayImport(from: Layer, to: Layer): boolean {
  const source = CHAIN.findIndex((layer) => layer === from);
  if (source < 0) return true;
  const target = CHAIN.findIndex((layer) => layer === to);
  return target >= 0 && target <= source;
}

/** May a file of layer `from` import the file at `target`, a path from the top? */
export function mayImportFile(from: Layer, target: string): boolean {
  return target === MANIFEST || mayImport(from, layerOf(target));
}

/** The words for a message: what `from` may import. */
export function allowedFor(from: Layer): string {
  return CHAIN.slice(0, CHAIN.findIndex((layer) => layer === from) + 1).join(", ");
}

/** True for a file that must not touch clocks, timers, files, sockets or `Deno`. */
export function isPure(path: string, listed: Readonly<Record<string, string>> = edges): boolean {
  const layer = CHAIN.find((name) => name === layerOf(path));
  if (layer === undefined) return false;
  return !Object.keys(listed).some((edge) => edge.endsWith("/") ? path.startsWith(edge) : path === edge);
}

/** Resolve a relative specifier against the file that names it; null for a bare or absolute one. */
export function resolve(path: string, specifier: string): string | null {
  if (!specifier.startsWith("./") && !specifier.startsWith("../")) return null;
  const parts = path.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
