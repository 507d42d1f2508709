/** Duty: certificates that a device makes: by the eyes of openssl, by a client that pins one, and kept over restarts. */
import assert from "node:assert/strict";
import { loadIdentity, makeIdentity, ownIdentity } from "../../../ui/access/certificate.ts";
import { openSite } from "../../support/listener.ts";

const NOW_MS = Date.UTC(2026, 0, 31);

async function openssl(...args: string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command("openssl", { args, stdin: "null" }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

async function inDirectory(body: (directory: string) => Promise<void> | void): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    await body(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("makeIdentity() makes a certificate that openssl verifies and reads as it was meant", () =>
  inDirectory(async (directory) => {
    const { cert, fingerprint } = makeIdentity(
      "edge-1",
      ["192.0.2.7", "2001:db8::7", "edge.example"],
      NOW_MS,
    );
    const file = `${directory}/cert.pem`;
    Deno.writeTextFileSync(file, cert);
    assert.match(await openssl("verify", "-x509_strict", "-CAfile", file, file), /: OK/);
    const text = await openssl("x509", "-in", file, "-noout", "-text", "-fingerprint", "-sha256");
    assert.ok(text.includes(`Fingerprint=${fingerprint}`));
    assert.match(
      text,
      /DNS:edge-1, DNS:localhost, IP Address:192\.0\.2\.7, IP Address:2001:DB8:0:0:0:0:0:7, DNS:edge\.example/,
    );
    assert.match(text, /Not Before: Jan {2}2 00:00:00 1970 GMT\s+Not After : Jan 31 00:00:00 2046 GMT/);
    assert.match(text, /CA:FALSE/);
    assert.match(text, /TLS Web Server Authentication/);
    assert.notEqual(makeIdentity("edge-1", [], NOW_MS).fingerprint, fingerprint);
  }));

Deno.test("a certificate of after 2049 has the long form of time", () =>
  inDirectory(async (directory) => {
    const file = `${directory}/cert.pem`;
    Deno.writeTextFileSync(file, makeIdentity("edge", [], Date.UTC(2035, 5, 1)).cert);
    assert.match(await openssl("x509", "-in", file, "-noout", "-enddate"), /Jun {2}1 00:00:00 2055 GMT/);
  }));

Deno.test("ownIdentity() keeps what it made, for root alone; loadIdentity() wants a pair", () =>
  inDirectory((directory) => {
    const path = `${directory}/api.pem`, wish = { name: "edge", names: [], nowMs: NOW_MS };
    const made = ownIdentity(path, wish);
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(ownIdentity(path, wish), made);
    const [cert, key, other] = ["cert", "key", "other"].map((name) => `${directory}/${name}.pem`) as [
      string,
      string,
      string,
    ];
    Deno.writeTextFileSync(cert, made.cert);
    Deno.writeTextFileSync(key, made.key);
    Deno.writeTextFileSync(other, makeIdentity("x", [], NOW_MS).key);
    assert.equal(loadIdentity(cert, key).fingerprint, made.fingerprint);
    assert.throws(() => loadIdentity(cert, other), /Cannot use .*: the key is another one's/);
    assert.throws(() => loadIdentity(cert, `${directory}/none`), /Cannot read .*none/);
    Deno.writeTextFileSync(path, "broken");
    assert.throws(() => ownIdentity(path, wish), /without the file another is made/);
  }));

Deno.test("a client that knows the certificate reaches the node by TLS 1.2 and 1.3, and by nothing older", async () => {
  const identity = makeIdentity("edge", ["127.0.0.1"], NOW_MS);
  await using site = await openSite({ users: [], identity });
  const client = Deno.createHttpClient({ caCerts: [identity.cert] });
  try {
    const headers = { authorization: `Bearer ${site.token("viewer")}` };
    const response = await fetch(`${site.base}/api/v1/status`, { client, headers });
    assert.equal(response.status, 200);
    assert.match(response.headers.get("strict-transport-security")!, /max-age/);
    assert.equal((await response.json()).name, "edge1");
    await assert.rejects(fetch(`${site.base}/healthz`), TypeError, "it is known by its fingerprint alone");
  } finally {
    client.close();
  }
  const connect = (version: string) => openssl("s_client", "-connect", `127.0.0.1:${site.port}`, version);
  assert.match(await connect("-tls1_2"), /Protocol *: TLSv1\.2/);
  assert.match(await connect("-tls1_3"), /New, TLSv1\.3/);
  assert.match(await connect("-tls1_1"), /New, \(NONE\)/);
});
