/**
 * Takes secrets out of texts that leave the node. Pure.
 *
 * Two nets, because each has holes: forms in which secrets are written anywhere, and the node's own secrets by what they
 * are, wherever they turn up. Rather a word too much than a secret.
 */
export const REDACTED = "<redacted>";

/** Names of what has a secret for its value. A path to a secret is none. */
const NAMES =
  "(?:[a-z0-9]+[_-])*(?:pass(?:word|wd|phrase)?|secrets?|tokens?|credentials?|code|cookie|csrf|authorization|" +
  "private[_-]?key|api[_-]?key|psk|salt|hash|community|key)";

const FORMS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g, REDACTED],
  [/\bscrypt\$[\w$+/=]+/g, REDACTED],
  [/\b(Bearer|Basic)(\s+)[\w.~+/=-]{6,}/gi, `$1$2${REDACTED}`],
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi, `$1${REDACTED}@`],
  // password = "x" in TOML, "password": "x" in JSON, password=x and --password x in lines of a log.
  [new RegExp(`(["']?\\b${NAMES}["']?\\s*[:=]\\s*)"(?!/)(?:[^"\\\\\\n]|\\\\.)*"`, "gi"), `$1"${REDACTED}"`],
  [new RegExp(`(["']?\\b${NAMES}["']?\\s*[:=]\\s*)'(?!/)[^'\\n]*'`, "gi"), `$1'${REDACTED}'`],
  // JSON within a text of JSON, as deep as it may be.
  [new RegExp(`(\\b${NAMES}\\\\+"\\s*:\\s*\\\\+")[^"\\\\]+`, "gi"), `$1${REDACTED}`],
  [new RegExp(`(\\b${NAMES}[=:]\\s*)(?!["'/<])[^\\s"',;}\\]]+`, "gi"), `$1${REDACTED}`],
  [new RegExp(`(--${NAMES}[= ])(?!["'/<])[^\\s"']+`, "gi"), `$1${REDACTED}`],
  [/\b(?:[a-z0-9]{4}-){3}[a-z0-9]{4}\b/g, REDACTED],
];

/** A secret that is shorter would take half of every text with it. */
const SECRET_CHARS_MIN = 6;

/** `secrets`: values that must not be in it, whatever stands around them. */
export function redact(text: string, secrets: readonly string[]): string {
  const known = [...new Set(secrets)].filter((secret) => secret.length >= SECRET_CHARS_MIN)
    .sort((a, b) => b.length - a.length);
  const without = known.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text);
  return FORMS.reduce((rest, [form, by]) => rest.replace(form, by), without);
}

/** In JSON a shorter text is a name or a role, which is no secret and stands everywhere. */
const JSON_SECRET_CHARS_MIN = 16;

/** What of a file of secrets is one: each line, or of JSON each long text. */
export function secretsIn(file: string): string[] {
  if (file.trimStart().startsWith("{")) {
    return [...file.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) => text)
      .filter(({ length }) => length >= JSON_SECRET_CHARS_MIN);
  }
  return file.split("\n").map((line) => line.trim()).filter((line) =>
    line.length >= SECRET_CHARS_MIN && !/^-----(BEGIN|END)/.test(line)
  );
}
