/**
 * The test data of `bench:ids`: where it lies, what it is called, and its two halves.
 *
 * A preset that is chosen by the captures it is judged by proves nothing, so a digest of each capture's content puts it
 * into one of two halves: equal captures, of which there are some, are in the same.
 */
import type { Half } from "./ids_mix.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");

/** Where the test data lies. */
export function dataFolder(): string {
  return Deno.env.get("REMEDIATE_DATA") ?? `${TOP}/../shared/data`;
}

/**
 * "arkime:tests/x.pcap" in alerts.tsv is arkime/tests/x.pcap, "debian-src:tcpdump_4.99.3:tests/x.pcap" is
 * tcpdump/tests/x.pcap: the folder is the last name before the path, without its version.
 */
export function pathOf(folder: string, capture: string): string {
  const [path = "", source = ""] = capture.split(":").reverse();
  return `${folder}/captures/${source.replace(/_.*$/, "")}/${path}`;
}

/** Captures below a folder, by name. */
export async function filesUnder(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) paths.push(...await filesUnder(path));
    else if (/\.(pcap|pcapng|cap)$/.test(entry.name)) paths.push(path);
  }
  return paths.sort();
}

/** The half of a capture. A file that is not there is in one as well. */
export async function halfOf(path: string): Promise<Half> {
  const bytes = await Deno.readFile(path).catch(() => new Uint8Array(0));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))[0]! % 2 === 0 ? "tune" : "judge";
}
