/**
 * The image's own checks: what must not be in its root, the list of what is in it, and the signature that people check.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync, verify } from "node:crypto";
import { parseEntries, type RootFacts, rootFaults } from "../../../scripts/image/judge.ts";
import { signature } from "../../../scripts/image/release.ts";
import { kernelArguments, sectionsEnd } from "../../../scripts/image/secure.ts";
import { makeSbom, parseDpkg, parseLock, sbomFaults } from "../../../scripts/image/sbom.ts";

const GOOD: RootFacts = {
  entries: parseEntries("f 755 0 usr/bin/mount\nd 1777 0 tmp\nl 777 0 etc/mtab\nc 666 0 dev/null\n"),
  keys: [],
  machineId: "",
  shadow: "root:*:20779::::::\nsystemd-network:!*:20779::::::\n",
  sockets: new Map([["dbus.socket", "[Socket]\nListenStream=/run/dbus/system_bus_socket\n"]]),
};

Deno.test("rootFaults() lets a root pass that lends, opens and tells nothing", () => {
  assert.deepEqual(rootFaults(GOOD), []);
});

Deno.test("rootFaults() names every fault with its file", () => {
  const faults: [Partial<RootFacts>, string][] = [
    [{ entries: parseEntries("f 4755 0 usr/bin/su") }, "usr/bin/su lends its owner's or group's rights"],
    [{ entries: parseEntries("f 666 0 etc/hosts") }, "etc/hosts may be written by all"],
    [{ entries: parseEntries("d 777 0 srv") }, "srv/ may be written by all"],
    [
      { entries: parseEntries("f 600 0 etc/ssh/ssh_host_rsa_key") },
      "etc/ssh/ssh_host_rsa_key belongs to one machine",
    ],
    [{ entries: parseEntries("f 755 0 usr/sbin/sshd") }, "usr/sbin/sshd would listen"],
    [{ keys: ["etc/a.pem"] }, "etc/a.pem holds a private key"],
    [{ machineId: "0123\n" }, "etc/machine-id names one machine: 0123"],
    [{ shadow: "root::1::::::\n" }, "root can log in"],
    [{ sockets: new Map([["ssh.socket", "ListenStream=22"]]) }, "ssh.socket listens on 22"],
  ];
  for (const [what, said] of faults) assert.deepEqual(rootFaults({ ...GOOD, ...what }), [said]);
});

const STATUS = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.41-12)
Version: 2.41-12+deb13u1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
`;

Deno.test("makeSbom() tells what dpkg and npm tell, and sbomFaults() finds each difference", () => {
  const packages = parseDpkg(STATUS);
  assert.deepEqual(packages, [
    { name: "libc6", version: "2.41-12+deb13u1", architecture: "amd64", source: "glibc" },
  ]);
  const lock = JSON.stringify({
    npm: { "@a/b@1.0.0": { integrity: "sha512-AAEC" }, "test-only@2.0.0": { integrity: "sha512-AAEC" } },
  });
  const npm = parseLock(lock, new Set(["test-only"]));
  const sbom = makeSbom({ version: "0.1.0", deno: "2.9.6", debian: packages, npm });
  assert.deepEqual(sbom.components.map((one) => one["bom-ref"]), [
    "deno@2.9.6",
    "pkg:npm/%40a/b@1.0.0",
    "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64",
  ]);
  assert.deepEqual(sbom.components[1]?.hashes, [{ alg: "SHA-512", content: "000102" }]);
  assert.deepEqual(sbomFaults(sbom, packages), []);
  const other = [{ ...packages[0]!, version: "2.42" }];
  assert.deepEqual(sbomFaults(sbom, other), [
    "the SBOM leaves out pkg:deb/debian/libc6@2.42?arch=amd64",
    "the SBOM tells of pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64, which dpkg does not have",
  ]);
});

Deno.test("signature() is one that others can check, and takes no other kind of key", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const made = signature("abc\n", privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  assert.ok(verify(null, new TextEncoder().encode("abc\n"), publicKey, made));
  assert.ok(!verify(null, new TextEncoder().encode("abd\n"), publicKey, made));
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const pem = ec.export({ type: "pkcs8", format: "pem" }).toString();
  assert.throws(() => signature("abc\n", pem), /Cannot sign: the key is of the kind ec/);
  assert.throws(() => signature("abc\n", "nonsense"), /Cannot sign: the key is no private key/);
});

Deno.test("kernelArguments() are those of the boot loader's script, and never a guess", () => {
  const grub = "linux ($part)/vmlinuz remediate.slot=$slot $slot_arguments ro quiet panic=5\n";
  assert.equal(kernelArguments(grub), "ro quiet panic=5");
  const within = '  if linux "($part)/vmlinuz" x=$1 $slot_arguments ro quiet iommu=pt; then\n';
  assert.equal(kernelArguments(within), "ro quiet iommu=pt");
  assert.throws(() => kernelArguments("linux /vmlinuz ro\n"), /Cannot find the kernel's arguments/);
});

Deno.test("sectionsEnd() is the page behind the last section", () => {
  const headers = "  0 .text         0000bff0  0000000000004000  0000000000004000  00000400  2**4\n" +
    "  7 .sdmagic      00000034  0000000000019100  0000000000019100  00011200  2**2\n";
  assert.equal(sectionsEnd(headers), 0x1a000);
});
