/** What pages need of the world, for tests: a configuration in memory, a doctor with something to say, a way in. */
import { parseConfig } from "../../appliance/config.ts";
import type { Finding } from "../../appliance/doctor_finding.ts";
import type { NodeControl } from "../../appliance/view.ts";
import { tagOf } from "../../ui/page/assets.ts";
import { unifiedDiff } from "../../appliance/text_diff.ts";
import type { ConfigAnswer, ConfigVersion, ConfigView, PendingConfig } from "../../appliance/view_config.ts";
import type { ConfigDesk, PageMeans } from "../../ui/page/means.ts";
import type { TokenView, UserView } from "../../ui/access/view.ts";
import type { Visitor } from "../../ui/session.ts";

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

/** What was in force, the first one at the start. */
class Kept {
  readonly texts = new Map<number, string>();
  versions: readonly ConfigVersion[] = [];

  add(text: string, rest: Omit<ConfigVersion, "id" | "note" | "etag">): number {
    const id = this.texts.size + 1;
    this.texts.set(id, text);
    this.versions = [{ id, note: "", etag: tagOf(text), ...rest }, ...this.versions];
    return id;
  }

  became(id: number | undefined, state: ConfigVersion["state"]): void {
    this.versions = this.versions.map((one) => one.id === id ? { ...one, state } : one);
  }

  version(id: number): { text: string; diff: string } | null {
    const text = this.texts.get(id), earlier = this.texts.get(id - 1);
    if (text === undefined) return null;
    return { text, diff: earlier === undefined ? "" : unifiedDiff(earlier, text, ["before", "this"]) };
  }
}

/** A desk that keeps a change only if it is confirmed; `now` is its clock. */
export function memoryDesk(now: () => number, text = CONFIG_TEXT): ConfigDesk & { readonly text: string } {
  const kept = new Kept(), file = "/etc/remediate/remediate.toml";
  let before = text, pending: PendingConfig | null = null;
  let id = kept.add(text, { atMs: now(), who: "ada", state: "start" });
  const current = (): ConfigView => ({ file, text, etag: tagOf(text), id, pending });
  const begin = (fresh: string, who: string, confirmS: number) => {
    [before, text] = [text, fresh];
    id = kept.add(text, { atMs: now(), who, state: confirmS === 0 ? "confirmed" : "pending" });
    pending = confirmS === 0 ? null : { id, who, untilMs: now() + confirmS * 1000 };
  };
  const became = (state: ConfigVersion["state"]) => {
    kept.became(pending?.id, state);
    pending = null;
  };
  const done = (said: string): ConfigAnswer => ({ ok: true, view: current(), text: said });
  const refused = (status: 412 | 422, said: string): Promise<ConfigAnswer> =>
    Promise.resolve({ ok: false, status, text: said });
  const judge = (fresh: string) => parseConfig(fresh, file);
  return {
    get text() {
      return text;
    },
    current,
    check: (fresh) => {
      const { config, problems, warnings } = judge(fresh);
      const diff = unifiedDiff(text, fresh, ["in force", "wanted"]);
      return { ok: config !== undefined, problems, warnings, diff };
    },
    apply: ({ text: fresh, who, etag, confirmS }) => {
      if (etag !== tagOf(text)) return refused(412, "it was changed meanwhile");
      if (judge(fresh).config === undefined) return refused(422, "it has problems");
      begin(fresh, who, confirmS);
      return Promise.resolve(done("the new configuration is in force"));
    },
    confirm: () => {
      became("confirmed");
      return done("it is kept");
    },
    rollback: ({ id: wanted, who, confirmS }) => {
      if (wanted === null) became("undone");
      begin(wanted === null ? before : kept.texts.get(wanted) ?? text, who, confirmS);
      return Promise.resolve(done("the one before is back"));
    },
    history: () => kept.versions,
    version: (wanted) => kept.version(wanted),
  };
}

/** Users and tokens in memory; passwords are judged by their length alone. */
export function memoryPeople(now: () => number): NonNullable<PageMeans["people"]> {
  let users: UserView[] = [{ name: "ada", role: "admin", createdMs: 0 }];
  let tokens: TokenView[] = [{ id: "t1", name: "prometheus", role: "viewer", createdMs: 0, expiresMs: null }];
  const missing = (name: string) =>
    users.some((one) => one.name === name)
      ? null
      : { status: 404 as const, text: `there is no user "${name}"` };
  return {
    users: () => users,
    tokens: () => tokens,
    addUser: ({ name, role, password }) => {
      if (password.length < 12) {
        return Promise.resolve({ status: 400, text: "a password has 12 characters or more" });
      }
      users = [...users, { name, role, createdMs: now() }];
      return Promise.resolve(null);
    },
    removeUser: (name) => {
      const fault = missing(name);
      users = users.filter((one) => one.name !== name);
      return fault;
    },
    setRole: (name, role) => {
      users = users.map((one) => one.name === name ? { ...one, role } : one);
      return missing(name);
    },
    setPassword: (name) => Promise.resolve(missing(name)),
    addToken: ({ name, role }) => {
      tokens = [...tokens, { id: "t2", name, role, createdMs: now(), expiresMs: null }];
      return { id: "t2", token: "rmt_t2_shown-once" };
    },
    revokeToken: (id) => {
      tokens = tokens.filter((one) => one.id !== id);
      return null;
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
            ? {
              cookie: `session=${name}; HttpOnly; SameSite=Strict`,
              visitor: { ...ADMIN_VISITOR, csrf: "t0ken" },
            }
            : { status: 401 as const, text: "Name and password do not fit." },
        ),
      first: () => Promise.resolve({ status: 401 as const, text: "The code does not fit." }),
      prove: ({ password }) =>
        Promise.resolve(password === "correct" ? null : { status: 401, text: "the password is wrong" }),
      logout: () => "session=; Max-Age=0",
    },
    people: memoryPeople(now),
    logs: () =>
      Promise.resolve([
        { name: "control", text: "", fault: "there is no journal" },
        { name: "plane", text: "the plane forwards on 6 ports\nlink of redundant-in is up", fault: null },
      ]),
    audited: () => [
      { at: "2026-01-31T09:00:00.000Z", who: "ada", from: "192.0.2.7", what: "POST /act/drill", result: 200 },
      {
        ...{ at: "2026-01-31T09:01:00.000Z", who: "ada", from: "192.0.2.7", result: 200 },
        ...{ what: "POST /config/apply", detail: '{"note":"by the page"}' },
      },
    ],
    ...rest,
    config: memoryDesk(now),
  };
}
