/**
 * What can be said of one configuration key, and what type its value has.
 *
 * Pure types and one sentence. The table itself is config_keys.ts; its literal types carry over into
 * `Config`, so the program cannot read a key that the file does not have.
 */

interface Common {
  /** One or more full sentences. */
  readonly help: string;
  /** A value for the example file where the key has no default. */
  readonly example?: string;
  readonly required?: true;
  /** What holds when the key is absent and `default` is null. */
  readonly absent?: string;
}

export interface IntegerKey extends Common {
  readonly type: "integer";
  readonly min: number;
  readonly max: number;
  readonly default: number | null;
  /** 0 is taken as well, with this meaning. */
  readonly zero?: string;
}

export interface BooleanKey extends Common {
  readonly type: "boolean";
  readonly default: boolean | null;
}

export interface ChoiceKey extends Common {
  readonly type: "choice";
  readonly choices: readonly string[];
  readonly default: string | null;
}

export interface TextKey extends Common {
  readonly type: "text";
  /** The accepted form, as the end of "accepted: ". */
  readonly form: string;
  /** Why a text is refused, as the end of a sentence; null: it is taken. */
  readonly fault: (text: string) => string | null;
  readonly default: string | null;
}

export type Key = IntegerKey | BooleanKey | ChoiceKey | TextKey;
export type Keys = Readonly<Record<string, Key>>;

/** "silence_ms" -> "silenceMs". */
export type Camel<K extends string> = K extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : K;

/** The value of a key: null only where it may be absent without a default. */
export type Value<K extends Key> = K extends { required: true } ? string
  : Chosen<K> | (K["default"] extends null ? null : never);
type Chosen<K extends Key> = K extends { type: "integer" } ? number
  : K extends { type: "boolean" } ? boolean
  : K extends { type: "choice"; choices: readonly (infer C)[] } ? C
  : string;

/** A section of the file as the program sees it: camelCase, units kept. */
export type Values<T extends Keys> = { readonly [K in keyof T & string as Camel<K>]: Value<T[K]> };

/** Accepted values of a key in words, as the end of "accepted: ". */
export function acceptedForm(key: Key): string {
  switch (key.type) {
    case "integer": {
      const zero = key.zero ? `, or 0 (${key.zero})` : "";
      return `an integer from ${key.min} to ${key.max}${zero}`;
    }
    case "boolean":
      return "true or false";
    case "choice":
      return `one of ${key.choices.map((choice) => `"${choice}"`).join(", ")}`;
    case "text":
      return key.form;
  }
}

/** Why a text is no path of at most so many bytes, as the end of a sentence; null: it is one. */
export function pathFault(text: string, bytesMax: number): string | null {
  if (!text.startsWith("/")) return "is no absolute path";
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(text)) return "holds a control character";
  return new TextEncoder().encode(text).length > bytesMax ? `is longer than ${bytesMax} bytes` : null;
}
