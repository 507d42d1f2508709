/**
 * Duty: the kernel's account of a thread's time on a processor.
 */

/** Nanoseconds that the one thread of a process whose name matches has run; schedstat in proc(5). */
export async function threadNs(pid: number, name: RegExp): Promise<number> {
  for await (const { name: id } of Deno.readDir(`/proc/${pid}/task`)) {
    const thread = (await Deno.readTextFile(`/proc/${pid}/task/${id}/comm`)).trim();
    if (!name.test(thread)) continue;
    return Number((await Deno.readTextFile(`/proc/${pid}/task/${id}/schedstat`)).split(" ")[0]);
  }
  throw new Error(`Cannot measure process ${pid}: it has no thread called ${name}`);
}
