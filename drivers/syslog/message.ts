/**
 * Duty: one syslog message into its header and its text: RFC 5424, RFC 3164, and what vendors make of the latter.
 *
 *   <34>1 2003-10-11T22:14:15.003Z host app 123 ID47 [id@32473 key="value"] text      RFC 5424
 *   <34>Oct 11 22:14:15 host app[123]: text                                             RFC 3164
 *   <166>%ASA-6-302013: ..., <166>Jul 09 2022 12:00:00 host : %ASA-..., <189>date=...   vendors
 *
 * RFC 3164 asks a receiver to take what is not in its form as text (4.3.3), so of these only a wrong priority is a fault;
 * a message that says it is RFC 5424 and is not is one too. What formats read is `text`: structured data and message.
 */

export interface SyslogMessage {
  readonly form: "rfc5424" | "rfc3164";
  /** Null: it came without one. */
  readonly priority: number | null;
  readonly timestamp: string | null;
  readonly host: string | null;
  readonly app: string | null;
  readonly messageId: string | null;
  /** As it stands, well formed: `[id name="value"]...`; empty: none. `structuredValues()` reads it. */
  readonly structured: string;
  /** All that a format may want: the tag of RFC 3164, message id and structured data of RFC 5424, and the message. */
  readonly text: string;
}

export const SYSLOG_FAULTS = [
  "empty",
  "bad_priority",
  "bad_header",
  "bad_structured_data",
  "bad_text",
] as const;
export type SyslogFault = (typeof SYSLOG_FAULTS)[number];

const PRIORITY_MAX = 191;
/** Bell, escape and their like; a tab is white space. */
const CONTROLS = /[^\P{Cc}\t]/u;

/** A fault by name is an expected outcome, so it is a value. */
export function parseSyslog(line: string): SyslogMessage | SyslogFault {
  const whole = line.startsWith("\uFEFF") ? line.slice(1) : line;
  if (whole.trim() === "") return "empty";
  // Neither RFC lets control characters through; they are the mark of another protocol, or of bytes that were lost.
  if (CONTROLS.test(whole)) return "bad_text";
  if (!whole.startsWith("<")) return parse3164(whole, null);
  const end = whole.indexOf(">", 1);
  const digits = end < 2 || end > 4 ? "" : whole.slice(1, end);
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > PRIORITY_MAX) return "bad_priority";
  const rest = whole.slice(end + 1);
  return /^1 /.test(rest) ? parse5424(rest.slice(2), Number(digits)) : parse3164(rest, Number(digits));
}

const HEADER_5424 =
  /^(-|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})?) (\S{1,255}) (\S{1,128}) (\S{1,128}) (\S{1,128}) ?/;
const given = (text: string) => text === "-" ? null : text;

function parse5424(text: string, priority: number): SyslogMessage | SyslogFault {
  const found = HEADER_5424.exec(text);
  if (found === null) return "bad_header";
  const [head, timestamp, host, app, , id] = found as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const body = text.slice(head.length);
  const end = body.startsWith("[") ? structuredEnd(body) : body.startsWith("-") ? 1 : 0;
  if (end === null) return "bad_structured_data";
  const message = body.slice(end).replace(/^ ?\uFEFF?/, "");
  const structured = body.startsWith("[") ? body.slice(0, end) : "";
  return {
    form: "rfc5424",
    priority,
    timestamp: given(timestamp),
    host: given(host),
    app: given(app),
    messageId: given(id),
    structured,
    text: [given(id) ?? "", structured, message].filter((part) => part !== "").join(" "),
  };
}

const ELEMENT = /\[[^\s=\]"]{1,32}(?: +[^\s=\]"]{1,64}="(?:[^"\\\]]|\\.)*")* *\]/y;
const PARAMETER = / +([^\s=\]"]{1,64})="((?:[^"\\\]]|\\.)*)"/y;

/** Where the elements that a text begins with end; null: they are not well formed (RFC 5424, 6.3). */
function structuredEnd(text: string): number | null {
  let end = 0;
  while (text[end] === "[") {
    ELEMENT.lastIndex = end;
    if (!ELEMENT.test(text)) return null;
    end = ELEMENT.lastIndex;
  }
  return text[end] === undefined || text[end] === " " ? end : null;
}

/** By "id.name": "junos@2636.1.1.1.2.129.source-address"; of well formed structured data. */
export function structuredValues(structured: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let id = "";
  for (let at = 0; at < structured.length;) {
    if (structured[at] === "[") {
      id = /^[^\s=\]"]+/.exec(structured.slice(at + 1))?.[0] ?? "";
      at += 1 + id.length;
      continue;
    }
    PARAMETER.lastIndex = at;
    const one = PARAMETER.exec(structured);
    if (one !== null) found.set(`${id}.${one[1]}`, one[2]!.replace(/\\(["\\\]])/g, "$1"));
    at = one === null ? at + 1 : PARAMETER.lastIndex;
  }
  return found;
}

const MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec";
/** "Oct 11 22:14:15", with a year before or behind, milliseconds and a zone; ISO 8601; Cisco's "*" and sequence number. */
const TIME_3164 = new RegExp(
  String.raw`^:? ?(?:\d+: )?[*.]?(?:(\d{4} (?:${MONTH}) +\d{1,2} \d{2}:\d{2}:\d{2}|` +
    String
      .raw`(?:${MONTH}) +\d{1,2}(?: \d{4})? \d{2}:\d{2}:\d{2}(?: \d{4})?(?:\.\d{1,9})?(?: [A-Z]{3,5}(?=[: ]))?)|` +
    String
      .raw`(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?))(?: ?: ?| +|$)`,
);
const HOST = /^([A-Za-z0-9][\w.:-]{0,254}?)(?: : | +)(?=\S)/;
const TAG = /^([\w./-]{1,64})(?:\[[\w.-]{1,32}\])?: ?/;

function parse3164(text: string, priority: number | null): SyslogMessage {
  const time = TIME_3164.exec(text);
  const behind = time === null ? text.replace(/^: ?/, "") : text.slice(time[0].length);
  // A word that ends in a colon is a tag: then the host was left out. Without a time nothing says that there is one.
  const host = time === null ? null : HOST.exec(behind);
  const named = host !== null && !host[1]!.endsWith(":");
  const body = named ? behind.slice(host[0].length) : behind;
  return {
    form: "rfc3164",
    priority,
    timestamp: time?.[1] ?? time?.[2] ?? null,
    host: named ? host[1]! : null,
    app: TAG.exec(body)?.[1] ?? null,
    messageId: null,
    structured: "",
    text: body,
  };
}
