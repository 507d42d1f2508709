/**
 * Duty: who may sign bundles: a throw-away authority and signer for machines of one's own, and two that overlap.
 *
 * The image holds certificates of authorities alone (its keyring). A real key never comes near this: it is given by path
 * when a bundle is signed. A signer must be good for code signing, which RAUC is told to look for.
 */
import { shell } from "./run.ts";

export interface Signer {
  readonly key: string;
  readonly certificate: string;
  /** Certificates of all authorities that count, one after the other. */
  readonly keyring: string;
}

const CA_DAYS = 3650;

/** An authority with one signer. Files are NAME.ca.crt, NAME.key, NAME.crt. */
export async function makeAuthority(directory: string, name: string, days: number): Promise<void> {
  await shell(
    `mkdir -p "$1"; chmod 700 "$1"; cd "$1"
     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days ${CA_DAYS} -subj "/O=Remediate/CN=$2 authority" \\
       -keyout "$2.ca.key" -out "$2.ca.crt" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
     openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=Remediate/CN=$2 signer" -keyout "$2.key" -out "$2.csr"
     printf '%s\\n' basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature \\
       extendedKeyUsage=critical,codeSigning subjectKeyIdentifier=hash authorityKeyIdentifier=keyid >"$2.ext"
     openssl x509 -req -in "$2.csr" -CA "$2.ca.crt" -CAkey "$2.ca.key" -set_serial "0x$(openssl rand -hex 8)" -days "$3" \\
       -extfile "$2.ext" -out "$2.crt"
     rm -f "$2.csr" "$2.ext"`,
    directory,
    name,
    String(days),
  );
}

/**
 * The throw-away one of this checkout, made once. Its keyring has a second authority as well, as during a rotation: machines
 * believe both, so bundles may be signed by either until the old one is taken out.
 */
export async function ownSigner(directory: string): Promise<Signer> {
  const signer = (name: string): Signer => ({
    key: `${directory}/${name}.key`,
    certificate: `${directory}/${name}.crt`,
    keyring: `${directory}/keyring.pem`,
  });
  const found = await Deno.stat(`${directory}/keyring.pem`).then(() => true, () => false);
  if (!found) {
    for (const name of ["now", "next"]) await makeAuthority(directory, name, 3650);
    await shell(`cd "$1"; cat now.ca.crt next.ca.crt >keyring.new; mv keyring.new keyring.pem`, directory);
  }
  return signer("now");
}
