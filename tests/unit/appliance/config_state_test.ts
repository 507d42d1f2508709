/** State drivers and the repository in the configuration: every problem at once, and what comes of a good one. */
import assert from "node:assert/strict";
import { DRIVER_KINDS } from "../../../drivers/registry.ts";
import { describeProblem, parseConfig } from "../../../appliance/config.ts";

const PORTS = `[ports]
upstream = "null"
downstream = "null"
primary_in = "null"
primary_out = "null"
redundant_in = "null"
redundant_out = "null"
`;
const GOOD = `${PORTS}
[driver.fw-a]
kind = "memory"
box = "primary"
role = "source"

[driver.fw-b]
kind = "memory"
box = "redundant"
role = "replica"
records_max = 5
`;

const told = (text: string) => parseConfig(text, "f").problems.map(describeProblem);

const KINDS = DRIVER_KINDS.map(({ kind }) => `"${kind}"`).join(", ");

Deno.test("parseConfig() knows drivers by name, with the settings of their kind", () => {
  const { config, problems, warnings } = parseConfig(GOOD, "f");
  assert.deepEqual([problems, warnings], [[], []]);
  assert.deepEqual(config!.drivers, [
    {
      name: "fw-a",
      kind: "memory",
      box: "primary",
      role: "source",
      from: [],
      pollMs: 5000,
      settings: { records_max: 10000 },
    },
    {
      name: "fw-b",
      kind: "memory",
      box: "redundant",
      role: "replica",
      from: ["fw-a"],
      pollMs: 5000,
      settings: { records_max: 5 },
    },
  ]);
  const { keyFile, makesKey, kind } = config!.repository;
  assert.deepEqual([keyFile, makesKey, kind], ["/var/lib/remediate/state.key", true, "embedded"]);
});

Deno.test("parseConfig() tells every problem with drivers at once, with line and what is accepted", () => {
  const text = GOOD.replace('"redundant"\nrole = "replica"', '"redundnt"\nrole = "replica"\nfrom = "no-such"')
    .replace("records_max = 5", "records_max = 0\nrecord_max = 5") +
    '[driver.Bad]\nkind = "memory"\n[driver.c]\nkind = "memry"\nrole = "source"\nfrom = "fw-a"\n[driver]\nx = 1\n';
  assert.deepEqual(told(text), [
    'f:16: driver.fw-b.box is no box of this file; found "redundnt"; accepted: the name of a box, as in `remediate box list`',
    'f:18: driver.fw-b.from names "no-such", which is no source of this file; found "no-such"',
    "f:19: driver.fw-b.records_max is too small; found 0; accepted: an integer from 1 to 1000000",
    'f:20: driver.fw-b.record_max is no key of [driver]: did you mean "records_max"?; found 5',
    'f:21: driver.Bad has a name that is none; found "Bad"; accepted: 1 to 31 small letters, digits and dashes, a letter first',
    "f:23: driver.c.box is missing; accepted: the name of a box of this file",
    `f:24: driver.c.kind is no choice: did you mean "memory"?; found "memry"; accepted: one of ${KINDS}`,
    'f:26: driver.c.from has no effect: the driver is a source; found "fw-a"',
    "f:28: driver.x is an integer, not a table; found 1; accepted: tables, each headed [driver.NAME]",
  ]);
});

Deno.test("parseConfig() warns of a replica that nobody feeds", () => {
  const { warnings } = parseConfig(GOOD.replace('role = "source"', 'role = "replica"'), "f");
  assert.deepEqual(warnings.map(({ key }) => key), ["driver.fw-a.from", "driver.fw-b.from"]);
});

Deno.test("parseConfig() holds the keys of the repository against each other", () => {
  const key = 'key_file = "/etc/k"\n';
  assert.deepEqual(told(`${GOOD}[repository]\nkind = "redis"\n${key}`), []);
  assert.match(told(`${GOOD}[repository]\nkind = "redis"\n`)[0]!, /key_file is missing: nodes that share/);
  assert.match(told(`${GOOD}[repository]\nprefix = "x"\n`)[0]!, /prefix has no effect: .*kind = "redis"/);
  const tls = `${GOOD}[repository]\nkind = "redis"\n${key}ca = "/ca"\n`;
  assert.match(told(tls)[0]!, /ca has no effect without TLS.*rediss: in front of url/);
  assert.deepEqual(told(`${tls}url = "rediss://h:1"\n`), []);
  assert.match(told(`${tls}url = "rediss://h:1"\nkey = "/k"\n`)[0]!, /certificate is missing beside key/);
});
