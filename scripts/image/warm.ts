/**
 * Duty: what Deno keeps of a program between starts (its imports, its compiled code), made while the image is built.
 *
 * Without it each start parses all of the program anew, which is most of a start. It holds where the program lies, so the
 * program is loaded once in the root itself. Deno writes to it, so a machine copies it into memory (first-boot).
 */
import { DatabaseSync } from "node:sqlite";
import { shell } from "./run.ts";

const KEPT = ["dep_analysis_cache_v2", "node_analysis_cache_v2", "v8_code_cache_v2"] as const;
/** Compiled code is kept in passing, after the module that it belongs to has run. */
const LOAD = (program: string) =>
  `await import("file://${program}");\nawait new Promise((done) => setTimeout(done, 1000));\n`;
const FLAGS = "run --quiet --no-prompt --no-config --no-lock --cached-only --unstable-net --allow-all";

/** @param home where the program lies in the root, "/usr/lib/remediate/DIGEST"; it gets a folder `deno-dir` */
export async function warmProgram(root: string, home: string): Promise<void> {
  const kept = `${root}${home}/deno-dir`, entry = "/tmp/warm.mjs";
  await Deno.writeTextFile(`${root}${entry}`, LOAD(`${home}/remediate.js`));
  // The mount is of this shell alone.
  await shell(
    `unshare --mount /bin/bash -euc 'mount -t proc proc "$1/proc"
       exec chroot "$1" /usr/bin/env -i HOME=/tmp PATH=/usr/bin DENO_DIR="$2/deno-dir" DENO_NO_UPDATE_CHECK=1 \\
         REMEDIATE_NATIVE="$2/libremediate-plane.so" "$2/deno" $3 "$4"' warm "$1" "$2" "$3" "$4"`,
    root,
    home,
    FLAGS,
    entry,
  );
  await Deno.remove(`${root}${entry}`);
  requireCode(`${kept}/v8_code_cache_v2`, `file://${home}/remediate.js`);
  for (const name of KEPT) copyDatabase(`${kept}/${name}`, `${kept}/${name}.new`);
  await shell(
    `cd "$1"; for name in $2; do mv "$name.new" "$name"; done
     find . -mindepth 1 -maxdepth 1 $(printf '! -name %s ' $2) -exec rm -rf {} +`,
    kept,
    KEPT.join(" "),
  );
}

/** @throws Error: Deno kept nothing of the program, as another version of it may */
function requireCode(path: string, specifier: string): void {
  using database = new DatabaseSync(path, { readOnly: true });
  const found = database.prepare("SELECT length(data) AS bytes FROM codecache WHERE specifier = ?").get(
    specifier,
  );
  if (!Number(found?.bytes)) {
    throw new Error(`Cannot keep the compiled program: ${path} has nothing of ${specifier}`);
  }
}

/** The same rows in an order of their own: equal content gives equal files, whatever was written first. */
function copyDatabase(from: string, to: string): void {
  using source = new DatabaseSync(from), target = new DatabaseSync(to);
  target.exec("PRAGMA journal_mode=OFF");
  const tables = source.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
    .all();
  for (const { name, sql } of tables as { name: string; sql: string }[]) {
    target.exec(sql);
    const columns = source.prepare(`PRAGMA table_info(${name})`).all() as { name: string }[];
    const list = columns.map((column) => column.name).join(", ");
    const rows = source.prepare(`SELECT ${list} FROM ${name} ORDER BY ${list}`);
    rows.setReadBigInts(true);
    const insert = target.prepare(
      `INSERT INTO ${name} (${list}) VALUES (${columns.map(() => "?").join(", ")})`,
    );
    for (const row of rows.all()) insert.run(...Object.values(row));
  }
}
