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
  /** By "id.name": "junos@2636.1.1.1.2.129.source-address". */
  readonly structured: ReadonlyMap<string, string>;
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
const NO_DATA: ReadonlyMap<string, string> = new Map();
/** Of all messages together: what nobody will look at. */
const PARAMETERS_MAX = 200;

/** A fault by name is an expected outcome, so it is a value. */
export function parseSyslog(line: string): SyslogMessage | SyslogFault {
  const whole = line.startsWith("\uFEFF") ? line.slice(1) : line;
  if (whole.trim() === "") return "empty";
  // Neither RFC lets control characters through; they are the mark of another protocol, or of bytes that were lost.
  if (hasControls(whole)) return "bad_text";
  if (!whole.startsWith("<")) return parse3164(whole, null);
  const end = whole.indexOf(">", 1);
  const digits = end < 2 || end > 4 ? "" : whole.slice(1, end);
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > PRIORITY_MAX) return "bad_priority";
  const rest = whole.slice(end + 1);
  return /^1 /.test(rest) ? parse5424(rest.slice(2), Number(digits)) : parse3164(rest, Number(digits));
}

function hasControls(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 32 && code !== 9 || code === 127) return true;
  }
  return false;
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
  const data = body.startsWith("[")
    ? structuredData(body)
    : { end: body.startsWith("-") ? 1 : 0, found: NO_DATA };
  if (data === null) return "bad_structured_data";
  const message = body.slice(data.end).replace(/^ ?\uFEFF?/, "");
  const raw = data.found === NO_DATA ? "" : body.slice(0, data.end);
  return {
    form: "rfc5424",
    priority,
    timestamp: given(timestamp),
    host: given(host),
    app: given(app),
    messageId: given(id),
    structured: data.found,
    text: [given(id) ?? "", raw, message].filter((part) => part !== "").join(" "),
  };
}

/** The elements that a text begins with, and where they end; null: they are not well formed (RFC 5424, 6.3). */
function structuredData(text: string): { end: number; found: ReadonlyMap<string, string> } | null {
  const found = new Map<string, string>();
  const element = /\[([^\s=\]"]{1,32})/y;
  const parameter = / +([^\s=\]"]{1,64})="((?:[^"\\\]]|\\.)*)"/y;
  let end = 0;
  while (text[end] === "[") {
    element.lastIndex = end;
    const id = element.exec(text)?.[1];
    if (id === undefined) return null;
    end = element.lastIndex;
    for (;;) {
      parameter.lastIndex = end;
      const one = parameter.exec(text);
      if (one === null) break;
      end = parameter.lastIndex;
      if (found.size < PARAMETERS_MAX) found.set(`${id}.${one[1]}`, one[2]!.replace(/\\(["\\\]])/g, "$1"));
    }
    while (text[end] === " " && text[end + 1] === "]") end++;
    if (text[end++] !== "]") return null;
  }
  return text[end] === undefined || text[end] === " " ? { end, found } : null;
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
    structured: NO_DATA,
    text: body,
  };
}
