/**
 * Duty: the programs of the lab that answer: nginx with the two objects, the long-flow server, the UDP echo.
 *
 * nginx logs one line for each finished response with time, connection and bytes. From that log come the requests
 * completed after a failure and the connections that hang, which wrk does not tell.
 */
import { isNat64, taygaConfig } from "./boxes.ts";
import type { Lab } from "./engine.ts";
import type { Programs } from "./native.ts";
import { sleep } from "./process.ts";
import type { Server } from "./topology.ts";

export const LONG_PORT = 7000;
export const ECHO_PORT = 7001;
/** Of `datagrams serve`, which a trial starts where it needs it. */
export const SESSION_PORT = 7002;
/** Of `associations serve`. */
export const ASSOCIATION_PORT = 7003;

/** Objects by path: their size in bytes. */
export const OBJECTS = { "5k": 5_700, "617k": 617_000 } as const;
export type ObjectName = keyof typeof OBJECTS;

/** Configuration of one nginx. `home` holds logs, objects and its pid file. */
export function nginxConfig(home: string): string {
  return `daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid ${home}/nginx.pid;
error_log ${home}/error.log;
events { worker_connections 4096; }
http {
  default_type application/octet-stream;
  log_format lab '$msec $connection $status $body_bytes_sent $request_time';
  access_log ${home}/access.log lab buffer=64k flush=100ms;
  client_body_temp_path ${home}/body;
  proxy_temp_path ${home}/proxy;
  fastcgi_temp_path ${home}/fastcgi;
  uwsgi_temp_path ${home}/uwsgi;
  scgi_temp_path ${home}/scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  open_file_cache max=16;
  server {
    listen 80 backlog=1024;
    root ${home}/objects;
  }
}
`;
}

/** Where the log of a server's nginx is. */
export function accessLog(lab: Lab, ns: string): string {
  return `${lab.directory}/${ns}/access.log`;
}

async function prepareNginx(lab: Lab, ns: string): Promise<string[]> {
  const home = `${lab.directory}/${ns}`;
  await Deno.mkdir(`${home}/objects`, { recursive: true });
  // Text that does not repeat within a segment, so that a mixed-up answer cannot look right.
  for (const [name, bytes] of Object.entries(OBJECTS)) {
    await Deno.writeFile(
      `${home}/objects/${name}`,
      Uint8Array.from({ length: bytes }, (_, i) => 33 + (i * 7) % 89),
    );
  }
  await Deno.writeTextFile(`${home}/nginx.conf`, nginxConfig(home));
  await Deno.chmod(lab.directory, 0o755);
  return ["nginx", "-p", home, "-c", `${home}/nginx.conf`, "-e", `${home}/error.log`];
}

async function start(lab: Lab, server: Server, programs: Programs): Promise<void> {
  switch (server.kind) {
    case "nginx":
      lab.start(server.ns, await prepareNginx(lab, server.ns)).unref();
      return;
    case "long":
      lab.start(server.ns, [programs.longflows, "serve", String(LONG_PORT)]).unref();
      return;
    case "echo":
      lab.start(server.ns, [programs.probe, "echo", String(ECHO_PORT)]).unref();
      return;
  }
}

/** What a box needs besides its kernel. */
async function startBoxes(lab: Lab, programs: Programs): Promise<void> {
  for (const box of lab.topology.boxes) {
    const { name, renumbers } = box, config = `${lab.directory}/tayga-${name}.conf`;
    if (renumbers) lab.start(name, [programs.renumber, ...renumbers]).unref();
    if (!isNat64(box)) continue;
    await Deno.writeTextFile(config, taygaConfig(box));
    // A box is ahead of the workloads.
    lab.startNode(name, ["tayga", "--nodetach", "-c", config], `tayga-${name}.log`).unref();
  }
}

/** Starts all servers of the lab and returns when their ports are open. Throws Error naming those that are not. */
export async function startServers(lab: Lab, programs: Programs): Promise<void> {
  await startBoxes(lab, programs);
  await Promise.all(lab.topology.servers.map((server) => start(lab, server, programs)));
  const ports = { nginx: ":80 ", long: `:${LONG_PORT} `, echo: `:${ECHO_PORT} ` };
  const deadline = Date.now() + 5_000;
  const namespaces = [...new Set(lab.topology.servers.map((server) => server.ns))];
  let missing: string[] = [];
  do {
    await sleep(30);
    const open = await Promise.all(
      namespaces.map((ns) => lab.exec(ns, ["ss", "-Htuln"])),
    );
    missing = lab.topology.servers
      .filter((server) => !open[namespaces.indexOf(server.ns)]!.includes(ports[server.kind]))
      .map((server) => `${server.kind} in ${server.ns}`);
  } while (missing.length > 0 && Date.now() < deadline);
  if (missing.length > 0) throw new Error(`Cannot start ${missing.join(", ")}: see ${lab.directory}`);
}
