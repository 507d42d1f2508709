/**
 * Reads the files of the repository as git sees them: tracked, or new and not ignored.
 *
 * The only file of this folder that touches the disk.
 */
import type { RepoFile } from "./repo.ts";

/** Text up to this many bytes is read; larger files are data. */
const TEXT_BYTES_MAX = 4 * 1024 * 1024;

async function names(top: string): Promise<string[]> {
  // A clone of another user is read all the same.
  const args = [
    "-c",
    `safe.directory=${top}`,
    "-C",
    top,
    "ls-files",
    "-z",
    "--cached",
    "--others",
    "--exclude-standard",
  ];
  const { success, stdout, stderr } = await new Deno.Command("git", { args }).output();
  if (!success) throw new Error(`Cannot list files of ${top}: ${new TextDecoder().decode(stderr).trim()}`);
  return [...new Set(new TextDecoder().decode(stdout).split("\0").filter((name) => name !== ""))].sort();
}

async function readRepoFile(top: string, path: string): Promise<RepoFile | null> {
  const stat = await Deno.lstat(`${top}/${path}`).catch((error) => {
    // Deleted and not yet committed, or taken away while we look.
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (stat === null || !stat.isFile) return null;
  const bytes = stat.size <= TEXT_BYTES_MAX ? await Deno.readFile(`${top}/${path}`) : new Uint8Array(1);
  const text = bytes.includes(0) ? null : new TextDecoder().decode(bytes);
  return { path, text, bytes: stat.size, executable: ((stat.mode ?? 0) & 0o111) !== 0 };
}

/** All files of the checkout at `top` (no slash at the end), sorted by path. */
export async function readRepo(top: string): Promise<RepoFile[]> {
  const files: RepoFile[] = [];
  for (const name of await names(top)) {
    const file = await readRepoFile(top, name);
    if (file !== null) files.push(file);
  }
  return files;
}
