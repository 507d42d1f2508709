/**
 * A process that serves the pages of a node which is not there, for a bench: as control does, and nothing else.
 *
 * Its one argument is the milliseconds between two readings. It says its port in a line; each line that it reads makes
 * the primary die. It ends with its input.
 */
import { listen } from "../../ui/network.ts";
import { makePages } from "../../ui/page/pages.tsx";
import { ADMIN_VISITOR, pageMeans } from "../../tests/support/page_means.ts";
import { pageNode } from "../../tests/support/page_node.ts";

const node = pageNode(Date.now);
const pages = makePages(node, pageMeans({ control: node, intervalMs: Number(Deno.args[0]) }));
const listener = await listen({
  ...{ host: "127.0.0.1", port: 0, identity: null },
  answer: (request) => pages.handle(request, ADMIN_VISITOR),
});
console.log(listener.port);
for await (const _ of Deno.stdin.readable) node.fail();
pages.close();
await listener.close();
