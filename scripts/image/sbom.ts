/**
 * Duty: the list of what is in the image, as CycloneDX 1.5: Debian's packages, npm's, and the program.
 *
 * Pure. Equal for equal content: no time, no chance. It is checked against dpkg's own list, which is the truth about the root.
 */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** The source package, where it has another name. */
  readonly source: string;
}

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** Subresource integrity, "sha512-...". */
  readonly integrity: string;
}

export interface Component {
  readonly type: "library" | "application" | "operating-system";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

export interface Sbom {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.5";
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
}

/** Installed packages of dpkg's status file. */
export function parseDpkg(status: string): DebianPackage[] {
  const found: DebianPackage[] = [];
  for (const entry of status.split(/\n\n+/)) {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(entry)?.[1] ?? "";
    if (!/ installed$/.test(field("Status"))) continue;
    const name = field("Package");
    const source = field("Source").replace(/ \(.*\)$/, "") || name;
    found.push({ name, version: field("Version"), architecture: field("Architecture"), source });
  }
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** npm packages of Deno's lock file. `left out`: what only tests use. */
export function parseLock(text: string, leftOut: ReadonlySet<string>): NpmPackage[] {
  const { npm = {} } = JSON.parse(text) as { npm?: Record<string, { integrity: string }> };
  return Object.entries(npm).flatMap(([key, { integrity }]) => {
    // "name@1.2.3", or "name@1.2.3_peer@4.5.6"; a name may begin with "@".
    const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(key) ?? [];
    return name === undefined || version === undefined || leftOut.has(name)
      ? []
      : [{ name, version, integrity }];
  });
}

function debian({ name, version, architecture, source }: DebianPackage): Component {
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${
    encodeURIComponent(version)
  }?arch=${architecture}`;
  return {
    ...{ type: "library", "bom-ref": purl, name, version, purl },
    properties: [{ name: "debian:source", value: source }],
  };
}

function npm({ name, version, integrity }: NpmPackage): Component {
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const [algorithm = "", digest = ""] = integrity.split(/-(.*)/s);
  const bytes = Uint8Array.from(atob(digest), (letter) => letter.charCodeAt(0));
  const content = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const alg = { sha1: "SHA-1", sha256: "SHA-256", sha512: "SHA-512" }[algorithm];
  return {
    ...{ type: "library", "bom-ref": purl, name, version, purl },
    ...(alg !== undefined && { hashes: [{ alg, content }] }),
  };
}

export interface SbomParts {
  readonly version: string;
  /** Of the Deno that the program runs in. */
  readonly deno: string;
  readonly debian: readonly DebianPackage[];
  readonly npm: readonly NpmPackage[];
}

export function makeSbom(parts: SbomParts): Sbom {
  const own = (name: string, version: string): Component => ({
    ...{ type: "application", "bom-ref": `${name}@${version}`, name, version },
  });
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: { component: own("remediate", parts.version) },
    components: [own("deno", parts.deno), ...parts.npm.map(npm), ...parts.debian.map(debian)],
  };
}

/** What of dpkg's list is not in the SBOM, and the other way round; sentences. */
export function sbomFaults(sbom: Sbom, packages: readonly DebianPackage[]): string[] {
  const told = new Set(
    sbom.components.filter(({ purl }) => purl?.startsWith("pkg:deb/")).map((one) => one["bom-ref"]),
  );
  const there = new Set(packages.map((one) => debian(one)["bom-ref"]));
  return [
    ...[...there].filter((ref) => !told.has(ref)).map((ref) => `the SBOM leaves out ${ref}`),
    ...[...told].filter((ref) => !there.has(ref)).map((ref) =>
      `the SBOM tells of ${ref}, which dpkg does not have`
    ),
  ];
}
