/** What pages need of the world, for tests: a configuration in memory, a doctor with something to say, a way in. */
import { parseConfig } from "../../appliance/config.ts";
import type { Finding } from "../../appliance/doctor_finding.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { tagOf } from "../../ui/page/assets.ts";
import { diffText } from "../../ui/page/diff.ts";
import type { ConfigDesk, PageMeans, PendingChange } from "../../ui/page/means.ts";
import type { Visitor } from "../../ui/page/visitor.ts";

export const ADMIN_VISITOR: Visitor = { name: "ada", role: "admin", csrf: "t0ken" };

export const CONFIG_TEXT = `[node]
name = "edge1"

[ports]
upstream = "af_packet:eth1"
downstream = "af_packet:eth2"
primary_in = "af_packet:eth3"
primary_out = "af_packet:eth4"
redundant_in = "af_packet:eth5"
redundant_out = "af_packet:eth6"

[filter]
preset = "nat"

[[filter.rules]]
name = "sip"
match = "udp port 5060"
all = true

[failover]
silence_ms = 10
`;

const FINDINGS: readonly Finding[] = [
  { level: "ok", topic: "rights", text: "all that are needed", fix: null },
  { level: "ok", topic: "port upstream", text: "eth1 is up, 1500 bytes", fix: null },
  {
    level: "warn",
    topic: "hugepages",
    text: "none are free: the plane runs without, and slower",
    fix: "echo 512 > /proc/sys/vm/nr_hugepages",
  },
];

/** A desk that keeps a change only if it is confirmed; `now` is its clock. */
export function memoryDesk(now: () => number, text = CONFIG_TEXT): ConfigDesk & { readonly text: string } {
  let before: string | null = null, pending: PendingChange | null = null;
  const judge = (fresh: string) => parseConfig(fresh, "/etc/remediate/remediate.toml");
  return {
    get text() {
      return text;
    },
    current: () => ({ file: "/etc/remediate/remediate.toml", text, etag: tagOf(text), pending }),
    check: (fresh) => {
      const { config, problems, warnings } = judge(fresh);
      return { ok: config !== undefined, problems, warnings, diff: diffText(text, fresh) };
    },
    apply: ({ text: fresh, who, etag, confirmS }) => {
      if (etag !== tagOf(text)) return Promise.resolve({ ok: false, text: "it was changed meanwhile" });
      if (judge(fresh).config === undefined) return Promise.resolve({ ok: false, text: "it has problems" });
      [before, text, pending] = [text, fresh, { who, untilMs: now() + confirmS * 1000 }];
      return Promise.resolve({ ok: true, text: "the new configuration is in force" });
    },
    confirm: () => {
      pending = null;
      return { ok: true, text: "it is kept" };
    },
    rollback: () => {
      [text, pending] = [before ?? text, null];
      return Promise.resolve({ ok: true, text: "the one before is back" });
    },
  };
}

export function pageMeans(
  { now = Date.now, ...more }: { control: NodeControl; now?: () => number } & Partial<PageMeans>,
): PageMeans & { readonly config: ReturnType<typeof memoryDesk> } {
  const { control: _, ...rest } = more;
  return {
    now,
    doctor: () => Promise.resolve(FINDINGS),
    access: {
      fresh: false,
      login: ({ name, password }) =>
        Promise.resolve(
          password === "correct"
            ? { cookie: `session=${name}; HttpOnly; SameSite=Strict` }
            : { status: 401 as const, text: "Name and password do not fit." },
        ),
      first: () => Promise.resolve({ status: 401 as const, text: "The code does not fit." }),
      logout: () => "session=; Max-Age=0",
    },
    ...rest,
    config: memoryDesk(now),
  };
}
