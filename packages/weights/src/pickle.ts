/** Reader of Python pickles, protocols 0 to 5, that never runs code. */
import { WeightsError } from "@mrcnn/core";

// https://docs.python.org/3/library/pickle.html and the comments of Lib/pickletools.py. A pickle is a program
// for a machine with a stack and a memo whose instructions may call any function of Python. This machine
// makes plain data and calls nothing but the entries of a table that the caller supplies.
//
// dict: Map; list, tuple and set: array; bytes and bytearray: Uint8Array or Text; str: string or Text; int:
// number, or bigint beyond 2^53.

/** The counterpart of a Python global. */
export class PickleGlobal {
  /** "module.name". */
  readonly name: string;
  /**
   * Result of a call; absent for globals that are only named. Its work must be at most proportional to the
   * number of its arguments: before it goes through an argument's own items it announces their number by
   * `spend`.
   */
  readonly call: ((args: readonly unknown[], spend: (items: number) => void) => unknown) | undefined;

  constructor(name: string, call?: PickleGlobal["call"]) {
    this.name = name;
    this.call = call;
  }
}

/** An object that takes the state that follows it in the pickle. */
export interface Stateful {
  setState(state: unknown): void;
}

/** Globals by "module.name". */
export type PickleGlobals = Pick<ReadonlyMap<string, PickleGlobal>, "get">;

/** Makes a table of globals. */
export const pickleGlobals = (
  calls: readonly (readonly [name: string, call?: PickleGlobal["call"]])[],
): ReadonlyMap<string, PickleGlobal> =>
  new Map(calls.map(([name, call]) => [name, new PickleGlobal(name, call)]));

/** Options of `unpickle`. */
export interface UnpickleOptions {
  /** The globals that a pickle may use. */
  readonly globals: PickleGlobals;
  /** Resolves torch's references to storages; without it such references are an error. */
  readonly persistent?: (id: unknown) => unknown;
  /** Name of the file, for errors. */
  readonly where: string;
  /** Position where the pickle begins. Default 0. */
  readonly start?: number;
  /** Offset of the positions in errors, when `bytes` is a part of a file. Default 0. */
  readonly base?: number;
  /** Size of the whole file, to which the memory of the result is limited. Default the length of `bytes`. */
  readonly fileLength?: number;
}

/** A string kept in its encoded form until it is needed: arrays' data may be text. */
export class Text {
  readonly encoded: Uint8Array;
  readonly encoding: "utf-8" | "latin1" | "escaped";

  constructor(encoded: Uint8Array, encoding: Text["encoding"]) {
    this.encoded = encoded;
    this.encoding = encoding;
  }

  /** Tells whether it can have this many characters, all below 256. */
  mayHold(characters: number): boolean {
    const most = { "utf-8": 2, latin1: 1, escaped: 6 }[this.encoding];
    return this.encoded.length >= characters && this.encoded.length <= characters * most;
  }

  /** Returns its characters as bytes; undefined when one is above 255. */
  toBytes(): Uint8Array | undefined {
    const { encoded, encoding } = this;
    if (encoding === "latin1") return encoded;
    const out = new Uint8Array(encoded.length);
    let length = 0;
    for (let i = 0; i < encoded.length; i++) {
      let c = encoded[i]!;
      if (encoding === "utf-8" && c >= 0x80) {
        const next = encoded[++i] ?? 0;
        if ((c & 0xfc) !== 0xc0 || (next & 0xc0) !== 0x80) return undefined;
        c = ((c & 3) << 6) | (next & 0x3f);
      } else if (
        encoding === "escaped" &&
        c === 0x5c &&
        (encoded[i + 1] === 0x75 || encoded[i + 1] === 0x55)
      ) {
        const digits = encoded[i + 1] === 0x75 ? 4 : 8;
        let value = 0;
        for (let k = 0; k < digits; k++) {
          const digit = hexDigit(encoded[i + 2 + k]);
          if (digit < 0) return undefined;
          value = value * 16 + digit;
        }
        if (value > 255) return undefined;
        c = value;
        i += 1 + digits;
      }
      out[length++] = c;
    }
    return out.subarray(0, length);
  }
}

const hexDigit = (c: number | undefined): number => {
  if (c === undefined) return -1;
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const letter = c | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
};

/** Strings longer than this stay `Text`. */
const LONG_TEXT = 512;
const MAX_LINE = 4096;
/**
 * Maximum size of an integer. Seeds and states of random generators have 128 bits, torch's magic number 80.
 */
const MAX_INT_BYTES = 64;
/**
 * Maximum number of dict keys that are not text: an optimizer has one per parameter. JavaScript engines hash
 * numbers without a secret, so that a file could choose a hundred thousand that all collide; beyond 2^53 all
 * numbers that share their last 64 bits collide, and none is a valid key.
 */
const MAX_OTHER_KEYS = 1 << 14;
const MAX_STACK = 1 << 16;

// Memory costs of parts, in units of about 16 bytes.
const COST = { element: 1, memo: 4, entry: 8, container: 10 } as const;
const FREE_UNITS = 1 << 18;

// Lone surrogates, which Python writes too, become U+FFFD: no name has them.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
// For short strings only.
const latin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const FLOATS: ReadonlyMap<string, number> = new Map([
  ["inf", Infinity],
  ["-inf", -Infinity],
  ["nan", NaN],
]);

/**
 * Runs one pickle and returns the object it makes and the position of its end. Memory and time grow no faster
 * than the file: what refers to itself, or repeatedly to the same object, is shared, never expanded, and
 * every pass over an object's items is charged.
 *
 * @throws WeightsError naming the position when the pickle is truncated or invalid, names a global that is
 * not in `globals`, or holds more objects than a file of its size may.
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): { value: unknown; end: number } {
  return new Machine(bytes, options).run();
}

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #options: UnpickleOptions;
  /** The memo by index, with holes: an array needs no hash, whose collisions a file could choose. */
  readonly #memo: { readonly value: unknown }[] = [];
  #memoSize = 0;
  #otherKeys = 0;
  readonly #stack: unknown[] = [];
  readonly #marks: number[] = [];
  #at: number;
  /** Position of the current instruction. */
  #opAt = 0;
  #units: number;

  constructor(bytes: Uint8Array, options: UnpickleOptions) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#options = options;
    this.#at = options.start ?? 0;
    this.#units = FREE_UNITS + Math.floor((options.fileLength ?? bytes.length) / 16);
  }

  run(): { value: unknown; end: number } {
    for (;;) {
      this.#opAt = this.#at;
      if (this.#at >= this.#bytes.length)
        return this.#fail("the pickle should go on, but the file ends here");
      const op = this.#bytes[this.#at++]!;
      if (op === 0x2e) return { value: this.#pop(), end: this.#at };
      this.#execute(op);
      if (this.#stack.length + this.#marks.length > MAX_STACK)
        this.#fail("the pickle's stack is deeper than any that Python writes");
    }
  }

  #fail(what: string, options?: ErrorOptions): never {
    const { where, base = 0 } = this.#options;
    throw new WeightsError(
      `${where}: byte ${base + this.#opAt}: ${what}. The file is cut, corrupt or not a pickle of weights.`,
      options,
    );
  }

  #spend(units: number): void {
    this.#units -= units;
    if (this.#units < 0) this.#fail("the pickle holds more objects than a file of weights of its size");
  }

  #push(value: unknown): void {
    this.#stack.push(value);
  }

  #pop(): unknown {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length <= floor) this.#fail("the pickle takes from an empty stack");
    return this.#stack.pop();
  }

  #top(): unknown {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length <= floor) this.#fail("the pickle looks at an empty stack");
    return this.#stack.at(-1);
  }

  #popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) return this.#fail("the pickle takes from an empty stack");
    return this.#stack.splice(mark);
  }

  #take(length: number): number {
    const begin = this.#at;
    if (length > this.#bytes.length - begin)
      this.#fail(`${length} bytes should follow, but the file has ${this.#bytes.length - begin}`);
    this.#at = begin + length;
    return begin;
  }

  #uint8 = (): number => this.#bytes[this.#take(1)]!;
  #uint32 = (): number => this.#view.getUint32(this.#take(4), true);
  #uint64 = (): number => {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      this.#fail(`${value} bytes should follow, but the file has ${this.#bytes.length - this.#at}`);
    return Number(value);
  };

  #slice(length: number): Uint8Array {
    this.#spend(COST.container);
    const begin = this.#take(length);
    return this.#bytes.subarray(begin, begin + length);
  }

  #text(length: number): string | Text {
    const encoded = this.#slice(length);
    return length > LONG_TEXT ? new Text(encoded, "utf-8") : utf8.decode(encoded);
  }

  // An 8-bit string of Python 2, or data.
  #byteString(encoded: Uint8Array): string | Text {
    return encoded.length > LONG_TEXT || encoded.some((c) => c >= 0x80 || c < 0x20) ?
        new Text(encoded, "latin1")
      : latin1(encoded);
  }

  #line(limit: number): Uint8Array {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) this.#fail("a line should end, but the file has no more line ends");
    if (end - this.#at > limit) this.#fail(`a line is ${end - this.#at} bytes long, more than ${limit}`);
    const line = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return line;
  }

  #lineText = (): string => latin1(this.#line(MAX_LINE)).replace(/\r$/, "");

  #lineIndex(): number {
    const text = this.#lineText();
    if (!/^\d{1,15}$/.test(text))
      this.#fail(`the memo's index must be a number, got ${JSON.stringify(text.slice(0, 40))}`);
    return Number(text);
  }

  #number(value: bigint): number | bigint {
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ?
        Number(value)
      : value;
  }

  #long(length: number): number | bigint {
    if (length > MAX_INT_BYTES) this.#fail(`an integer of ${length} bytes is no number of weights`);
    let value = 0n;
    const begin = this.#take(length);
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[begin + i]!);
    return this.#number(BigInt.asIntN(8 * length, value));
  }

  #lineInteger(): number | bigint {
    const text = this.#lineText().replace(/L$/, "").trim();
    if (!/^[-+]?\d{1,1000}$/.test(text))
      this.#fail(`an integer was expected, got ${JSON.stringify(text.slice(0, 40))}`);
    return this.#number(BigInt(text.replace("+", "")));
  }

  #quoted(): string | Text {
    const line = this.#line(Infinity);
    const quote = line[0];
    if (line.length < 2 || (quote !== 0x27 && quote !== 0x22) || line.at(-1) !== quote)
      this.#fail("a quoted string was expected");
    const decoded = unescaped(line.subarray(1, -1));
    return decoded === undefined ?
        this.#fail("a string has an escape that Python doesn't know")
      : this.#byteString(decoded);
  }

  #remember(index: number, value: unknown): void {
    this.#spend(COST.memo);
    // Python numbers its memo entries, and every object takes at least one byte.
    if (index > this.#bytes.length)
      this.#fail(`a memo of ${index} entries is more than a file of ${this.#bytes.length} bytes may hold`);
    if (this.#memo[index] === undefined) this.#memoSize++;
    this.#memo[index] = { value };
  }

  #recall(index: number): void {
    const entry = this.#memo[index];
    if (entry === undefined) return this.#fail(`the memo has no entry ${index}`);
    this.#push(entry.value);
  }

  #global(module: unknown, name: unknown): PickleGlobal {
    const full = typeof module === "string" && typeof name === "string" ? `${module}.${name}` : undefined;
    if (full === undefined) return this.#fail("the name of a global must be two strings");
    const known = this.#options.globals.get(full);
    if (known !== undefined) return known;
    const { where, base = 0 } = this.#options;
    throw new WeightsError(
      `${where}: byte ${base + this.#opAt}: a file of weights may not use ${JSON.stringify(full.slice(0, 200))}, and nothing of it was run. ` +
        "Save the model's state_dict alone, or as safetensors.",
    );
  }

  #call(callee: unknown, args: unknown): unknown {
    if (!(callee instanceof PickleGlobal)) return this.#fail("the pickle calls something that is no global");
    if (!Array.isArray(args)) return this.#fail(`${callee.name} must be called with a tuple`);
    if (callee.call === undefined) return this.#fail(`${callee.name} may be named here, but not called`);
    let made: unknown;
    try {
      made = callee.call(args, (items) => this.#spend(items * COST.entry));
    } catch (cause) {
      if (this.#units < 0) throw cause; // the message says so already
      return cause instanceof WeightsError ?
          this.#fail(cause.message, { cause })
        : this.#fail(`${callee.name} can't take these arguments`, { cause });
    }
    this.#spend(COST.container);
    return made;
  }

  #list(items: unknown[]): unknown[] {
    this.#spend(COST.container + items.length * COST.element);
    return items;
  }

  #dict(): Map<unknown, unknown> {
    this.#spend(COST.container);
    return new Map();
  }

  #setItems(target: unknown, items: readonly unknown[]): void {
    if (!(target instanceof Map)) return this.#fail("items can be set in a dict only");
    if (items.length % 2 !== 0) return this.#fail("a dict needs as many values as keys");
    this.#spend((items.length / 2) * COST.entry);
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (key instanceof Text) this.#fail("a key is too long or has no printable characters");
      if (typeof key === "bigint") this.#fail("a key is beyond 2^53");
      if (typeof key !== "string" && ++this.#otherKeys > MAX_OTHER_KEYS)
        this.#fail(`more than ${MAX_OTHER_KEYS} keys of dicts are no text`);
      target.set(key, items[i + 1]);
    }
  }

  #append(target: unknown, items: readonly unknown[]): void {
    if (!Array.isArray(target)) return this.#fail("items can be appended to a list only");
    this.#spend(items.length * COST.element);
    for (const item of items) target.push(item);
  }

  #build(target: unknown, state: unknown): void {
    if (isStateful(target)) {
      try {
        target.setState(state);
      } catch (cause) {
        this.#fail(cause instanceof WeightsError ? cause.message : "an object can't take its state", {
          cause,
        });
      }
      return;
    }
    // Attributes of an OrderedDict: state_dicts store versions there.
    if (target instanceof Map) return;
    this.#fail("an object that takes no state is given one");
  }

  #persistent(id: unknown): unknown {
    if (this.#options.persistent === undefined)
      return this.#fail("the pickle refers to something outside of it");
    this.#spend(COST.container);
    try {
      return this.#options.persistent(id);
    } catch (cause) {
      return this.#fail(
        cause instanceof WeightsError ? cause.message : "a reference to a storage can't be read",
        { cause },
      );
    }
  }

  #execute(op: number): void {
    switch (op) {
      case 0x28: // ( MARK
        this.#marks.push(this.#stack.length);
        return;
      case 0x30: // 0 POP, of a mark too
        if (this.#stack.length === this.#marks.at(-1)) this.#marks.pop();
        else this.#pop();
        return;
      case 0x31: // 1 POP_MARK
        this.#popMark();
        return;
      case 0x32: // 2 DUP
        return this.#push(this.#top());
      case 0x46: {
        // F FLOAT
        const text = this.#lineText();
        const value = FLOATS.get(text) ?? (/^[-+]?[\d.]/.test(text) ? Number(text) : NaN);
        if (Number.isNaN(value) && text !== "nan")
          this.#fail(`a number was expected, got ${JSON.stringify(text.slice(0, 40))}`);
        return this.#push(value);
      }
      case 0x49: {
        // I INT, and the booleans of protocol 0
        const next = this.#bytes.subarray(this.#at, this.#at + 3);
        if (next[0] === 0x30 && (next[1] === 0x30 || next[1] === 0x31) && next[2] === 10) {
          this.#at += 3;
          return this.#push(next[1] === 0x31);
        }
        return this.#push(this.#lineInteger());
      }
      case 0x4a: // J BININT
        return this.#push(this.#view.getInt32(this.#take(4), true));
      case 0x4b: // K BININT1
        return this.#push(this.#uint8());
      case 0x4c: // L LONG
        return this.#push(this.#lineInteger());
      case 0x4d: // M BININT2
        return this.#push(this.#view.getUint16(this.#take(2), true));
      case 0x4e: // N NONE
        return this.#push(null);
      case 0x50: // P PERSID
        return this.#push(this.#persistent(this.#lineText()));
      case 0x51: // Q BINPERSID
        return this.#push(this.#persistent(this.#pop()));
      case 0x52: {
        // R REDUCE
        const args = this.#pop();
        return this.#push(this.#call(this.#pop(), args));
      }
      case 0x53: // S STRING
        return this.#push(this.#quoted());
      case 0x54: {
        // T BINSTRING
        const length = this.#view.getInt32(this.#take(4), true);
        if (length < 0) this.#fail(`a string of ${length} bytes can't be`);
        return this.#push(this.#byteString(this.#slice(length)));
      }
      case 0x55: // U SHORT_BINSTRING
        return this.#push(this.#byteString(this.#slice(this.#uint8())));
      case 0x56: {
        // V UNICODE
        const line = this.#line(Infinity);
        if (line.length > LONG_TEXT) return this.#push(new Text(line, "escaped"));
        return this.#push(
          latin1(line).replace(/\\u([0-9a-fA-F]{4})/g, (_, hex: string) =>
            String.fromCharCode(Number.parseInt(hex, 16)),
          ),
        );
      }
      case 0x58: // X BINUNICODE
        return this.#push(this.#text(this.#uint32()));
      case 0x8c: // SHORT_BINUNICODE
        return this.#push(this.#text(this.#uint8()));
      case 0x8d: // BINUNICODE8
        return this.#push(this.#text(this.#uint64()));
      case 0x61: {
        // a APPEND
        const item = this.#pop();
        return this.#append(this.#top(), [item]);
      }
      case 0x65: {
        // e APPENDS
        const items = this.#popMark();
        return this.#append(this.#top(), items);
      }
      case 0x90: {
        // ADDITEMS
        const items = this.#popMark();
        return this.#append(this.#top(), items);
      }
      case 0x62: {
        // b BUILD
        const state = this.#pop();
        return this.#build(this.#top(), state);
      }
      case 0x63: {
        // c GLOBAL
        const module = this.#lineText();
        return this.#push(this.#global(module, this.#lineText()));
      }
      case 0x93: {
        // STACK_GLOBAL
        const name = this.#pop();
        return this.#push(this.#global(this.#pop(), name));
      }
      case 0x64: {
        // d DICT
        const items = this.#popMark();
        const dict = this.#dict();
        this.#setItems(dict, items);
        return this.#push(dict);
      }
      case 0x7d: // } EMPTY_DICT
        return this.#push(this.#dict());
      case 0x73: {
        // s SETITEM
        const value = this.#pop();
        const key = this.#pop();
        return this.#setItems(this.#top(), [key, value]);
      }
      case 0x75: {
        // u SETITEMS
        const items = this.#popMark();
        return this.#setItems(this.#top(), items);
      }
      case 0x67: // g GET
        return this.#recall(this.#lineIndex());
      case 0x68: // h BINGET
        return this.#recall(this.#uint8());
      case 0x6a: // j LONG_BINGET
        return this.#recall(this.#uint32());
      case 0x70: // p PUT
        return this.#remember(this.#lineIndex(), this.#top());
      case 0x71: // q BINPUT
        return this.#remember(this.#uint8(), this.#top());
      case 0x72: // r LONG_BINPUT
        return this.#remember(this.#uint32(), this.#top());
      case 0x94: // MEMOIZE
        return this.#remember(this.#memoSize, this.#top());
      case 0x69: {
        // i INST
        const module = this.#lineText();
        const callee = this.#global(module, this.#lineText());
        return this.#push(this.#call(callee, this.#popMark()));
      }
      case 0x6f: {
        // o OBJ
        const [callee, ...args] = this.#popMark();
        return this.#push(this.#call(callee, args));
      }
      case 0x81: {
        // NEWOBJ
        const args = this.#pop();
        return this.#push(this.#call(this.#pop(), args));
      }
      case 0x92: {
        // NEWOBJ_EX
        const named = this.#pop();
        const args = this.#pop();
        if (!(named instanceof Map) || named.size > 0)
          this.#fail("an object with named arguments is no weights");
        return this.#push(this.#call(this.#pop(), args));
      }
      case 0x6c: // l LIST
      case 0x74: // t TUPLE
      case 0x91: // FROZENSET
        return this.#push(this.#list(this.#popMark()));
      case 0x5d: // ] EMPTY_LIST
      case 0x29: // ) EMPTY_TUPLE
      case 0x8f: // EMPTY_SET
        return this.#push(this.#list([]));
      case 0x85: // TUPLE1
        return this.#push(this.#list([this.#pop()]));
      case 0x86: {
        // TUPLE2
        const second = this.#pop();
        return this.#push(this.#list([this.#pop(), second]));
      }
      case 0x87: {
        // TUPLE3
        const third = this.#pop();
        const second = this.#pop();
        return this.#push(this.#list([this.#pop(), second, third]));
      }
      case 0x47: // G BINFLOAT
        return this.#push(this.#view.getFloat64(this.#take(8), false));
      case 0x80: {
        // PROTO
        const protocol = this.#uint8();
        if (protocol > 5) this.#fail(`the pickle's protocol must be 0 to 5, got ${protocol}`);
        return;
      }
      case 0x88: // NEWTRUE
        return this.#push(true);
      case 0x89: // NEWFALSE
        return this.#push(false);
      case 0x8a: // LONG1
        return this.#push(this.#long(this.#uint8()));
      case 0x8b: // LONG4
        return this.#push(this.#long(this.#uint32()));
      case 0x42: // B BINBYTES
        return this.#push(this.#slice(this.#uint32()));
      case 0x43: // C SHORT_BINBYTES
        return this.#push(this.#slice(this.#uint8()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#push(this.#slice(this.#uint64()));
      case 0x95: // FRAME
        if (this.#uint64() > this.#bytes.length - this.#at) this.#fail("a frame is longer than the file");
        return;
      case 0x98: // READONLY_BUFFER: what precedes it is plain bytes here
        this.#top();
        return;
      default:
        this.#fail(`0x${op.toString(16).padStart(2, "0")} is no instruction of a pickle of weights`);
    }
  }
}

const isStateful = (value: unknown): value is Stateful =>
  typeof value === "object" && value !== null && "setState" in value && typeof value.setState === "function";

const ESCAPES: Readonly<Record<string, number>> = {
  n: 10,
  r: 13,
  t: 9,
  "\\": 92,
  "'": 39,
  '"': 34,
  a: 7,
  b: 8,
  f: 12,
  v: 11,
  0: 0,
};

/** Returns the bytes of a quoted string of Python 2; undefined when an escape is unknown. */
function unescaped(quoted: Uint8Array): Uint8Array | undefined {
  if (!quoted.includes(0x5c)) return quoted;
  const out = new Uint8Array(quoted.length);
  let length = 0;
  for (let i = 0; i < quoted.length; i++) {
    let c = quoted[i]!;
    if (c === 0x5c) {
      const kind = quoted[++i];
      if (kind === 0x78) {
        const high = hexDigit(quoted[++i]);
        const low = hexDigit(quoted[++i]);
        if (high < 0 || low < 0) return undefined;
        c = high * 16 + low;
      } else {
        const value = ESCAPES[String.fromCharCode(kind ?? 0)];
        if (kind === undefined || kind === 0 || value === undefined) return undefined;
        c = value;
      }
    }
    out[length++] = c;
  }
  return out.subarray(0, length);
}
