/**
 * Numbers of OpenFlow 1.3 and their names (ONF TS-025, version 1.3.5; sections behind each).
 *
 * A name is what people read in an error, so the tables serve both directions. Numbers that have no name travel as
 * numbers.
 */
export const VERSION = 4;
export const HEADER_BYTES = 8;

/** 7.1.1 */
export const TYPE = {
  hello: 0,
  error: 1,
  echoRequest: 2,
  echoReply: 3,
  experimenter: 4,
  featuresRequest: 5,
  featuresReply: 6,
  getConfigRequest: 7,
  getConfigReply: 8,
  setConfig: 9,
  packetIn: 10,
  flowRemoved: 11,
  portStatus: 12,
  packetOut: 13,
  flowMod: 14,
  groupMod: 15,
  multipartRequest: 18,
  multipartReply: 19,
  barrierRequest: 20,
  barrierReply: 21,
  roleRequest: 24,
  roleReply: 25,
  meterMod: 29,
} as const;

/** 7.2.1 */
export const PORT = {
  max: 0xffffff00,
  inPort: 0xfffffff8,
  table: 0xfffffff9,
  normal: 0xfffffffa,
  flood: 0xfffffffb,
  all: 0xfffffffc,
  controller: 0xfffffffd,
  local: 0xfffffffe,
  any: 0xffffffff,
} as const;

export const PORT_CONFIG_DOWN = 1 << 0;
export const PORT_STATE = { linkDown: 1 << 0, blocked: 1 << 1, live: 1 << 2 } as const;

/** 7.3.4.1 */
export const FLOW_COMMAND = { add: 0, modify: 1, modifyStrict: 2, delete: 3, deleteStrict: 4 } as const;
export const FLOW_FLAG = { sendRemoved: 1 << 0, checkOverlap: 1 << 1, resetCounts: 1 << 2 } as const;
export const NO_BUFFER = 0xffffffff;
export const ALL_TABLES = 0xff;

/** 7.3.4.2 */
export const GROUP_COMMAND = { add: 0, modify: 1, delete: 2 } as const;
export const GROUP_TYPE = { all: 0, select: 1, indirect: 2, fastFailover: 3 } as const;
export const GROUP_ALL = 0xfffffffc;
export const GROUP_ANY = 0xffffffff;

/** 7.3.4.4 */
export const METER_COMMAND = { add: 0, modify: 1, delete: 2 } as const;
export const METER_MAX = 0xffff0000;
export const METER_ALL = 0xffffffff;

/** 7.3.5 */
export const MULTIPART = {
  desc: 0,
  flow: 1,
  group: 6,
  groupDesc: 7,
  groupFeatures: 8,
  meterConfig: 10,
  portDesc: 13,
} as const;
export const MULTIPART_MORE = 1;

/** 7.3.5.9: what groups of a switch can do. */
export const GROUP_CAPABILITY = {
  selectWeight: 1,
  selectLiveness: 2,
  chaining: 4,
  chainingChecks: 8,
} as const;

/** 7.3.9 */
export const ROLE = { noChange: 0, equal: 1, master: 2, slave: 3 } as const;

/** 7.4.3 and 7.4.2 */
export const PORT_REASON = ["add", "delete", "modify"] as const;
export const REMOVED_REASON = ["idle timeout", "hard timeout", "delete", "group delete"] as const;
export const PACKET_IN_REASON = ["no match", "action", "invalid ttl"] as const;

/** 7.4.4 */
export const ERROR = { helloFailed: 0, badRequest: 1, groupModFailed: 6, meterModFailed: 12 } as const;
export const HELLO_INCOMPATIBLE = 0;
export const BAD_REQUEST = { version: 0, type: 1, length: 6 } as const;
export const GROUP_ERROR = { exists: 0, unknown: 8 } as const;
export const METER_ERROR = { exists: 1, unknown: 3 } as const;

type Codes = readonly (string | undefined)[];
const ERRORS: readonly (readonly [type: string, codes: Codes])[] = [
  ["hello failed", ["incompatible version", "no permission"]],
  [
    "bad request",
    [
      "bad version",
      "bad type",
      "bad multipart",
      "bad experimenter",
      "bad experimenter type",
      "no permission",
      "bad length",
      "buffer empty",
      "buffer unknown",
      "bad table",
      "is slave",
      "bad port",
      "bad packet",
      "multipart buffer overflow",
    ],
  ],
  [
    "bad action",
    [
      "bad type",
      "bad length",
      "bad experimenter",
      "bad experimenter type",
      "bad output port",
      "bad argument",
      "no permission",
      "too many",
      "bad queue",
      "bad output group",
      "match inconsistent",
      "unsupported order",
      "bad tag",
      "bad set type",
      "bad set length",
      "bad set argument",
    ],
  ],
  [
    "bad instruction",
    [
      "unknown",
      "unsupported",
      "bad table",
      "unsupported metadata",
      "unsupported mask",
      "bad experimenter",
      "bad experimenter type",
      "bad length",
      "no permission",
      "duplicate",
    ],
  ],
  [
    "bad match",
    [
      "bad type",
      "bad length",
      "bad tag",
      "bad link address mask",
      "bad network address mask",
      "bad wildcards",
      "bad field",
      "bad value",
      "bad mask",
      "bad prerequisite",
      "duplicate field",
      "no permission",
    ],
  ],
  [
    "flow mod failed",
    [
      "unknown",
      "table full",
      "bad table",
      "overlap",
      "no permission",
      "bad timeout",
      "bad command",
      "bad flags",
    ],
  ],
  [
    "group mod failed",
    [
      "group exists",
      "invalid group",
      "weight unsupported",
      "out of groups",
      "out of buckets",
      "chaining unsupported",
      "watch unsupported",
      "loop",
      "unknown group",
      "chained group",
      "bad type",
      "bad command",
      "bad bucket",
      "bad watch",
      "no permission",
    ],
  ],
  ["port mod failed", ["bad port", "bad hardware address", "bad config", "bad advertise", "no permission"]],
  ["table mod failed", ["bad table", "bad config", "no permission"]],
  ["queue operation failed", ["bad port", "bad queue", "no permission"]],
  ["switch config failed", ["bad flags", "bad length", "no permission"]],
  ["role request failed", ["stale", "unsupported", "bad role"]],
  [
    "meter mod failed",
    [
      "unknown",
      "meter exists",
      "invalid meter",
      "unknown meter",
      "bad command",
      "bad flags",
      "bad rate",
      "bad burst",
      "bad band",
      "bad band value",
      "out of meters",
      "out of bands",
    ],
  ],
];

/** "group mod failed, watch unsupported". */
export function errorText(type: number, code: number): string {
  const known = ERRORS[type];
  return known === undefined
    ? `error ${type}, code ${code}`
    : `${known[0]}, ${known[1][code] ?? `code ${code}`}`;
}

/** "flow mod": for errors. */
export function typeName(type: number): string {
  const found = Object.entries(TYPE).find(([, number]) => number === type);
  return found === undefined
    ? `message of type ${type}`
    : found[0].replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`);
}
