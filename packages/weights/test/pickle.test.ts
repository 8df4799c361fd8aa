import { describe, expect, it } from "vitest";
import { pickleGlobals, Text, unpickle } from "../src/pickle.ts";
import { withSettings } from "../src/plain-globals.ts";
import { bytesOf } from "./fixtures.ts";

const globals = pickleGlobals([["m.pair", (args) => ({ pair: args })], ["m.named"]]);
const run = (...parts: (string | readonly number[])[]): unknown =>
  unpickle(bytesOf(...parts), { globals, where: "w" }).value;
const map = (...entries: [unknown, unknown][]): Map<unknown, unknown> => new Map(entries);

describe("unpickle", () => {
  // As `python3 -m pickletools` takes them apart.
  const values: [string, string | readonly number[], unknown][] = [
    ["None and booleans", "(NI01\nI00\n\x88\x89t.", [null, true, false, true, false]],
    ["integers of text", "(I-5\nL12345678901234567890L\nL7L\nt.", [-5, 12345678901234567890n, 7]],
    [
      "integers of bytes",
      "(K\xffM\x00\x01J\xff\xff\xff\xff\x8a\x01\x80\x8a\x00\x8b\x02\0\0\0\xff\x7ft.",
      [255, 256, -1, -128, 0, 32767],
    ],
    [
      "floats",
      "(F1.5\nFinf\nFnan\nF-1e-3\nG\x3f\xf8\0\0\0\0\0\0t.",
      [1.5, Infinity, Number.NaN, -0.001, 1.5],
    ],
    [
      "strings",
      "(Vcaf\\u00e9\nX\x02\0\0\0\xc3\xa9\x8c\x01a\x8d\x01\0\0\0\0\0\0\0bU\x01cT\x01\0\0\0dS'e\\x41\\n'\nt.",
      ["café", "é", "a", "b", "c", "d", new Text(bytesOf("eA\n"), "latin1")],
    ],
    [
      "bytes",
      "(B\x01\0\0\0aC\x01b\x8e\x01\0\0\0\0\0\0\0c\x96\x01\0\0\0\0\0\0\0d\x98t.",
      [bytesOf("a"), bytesOf("b"), bytesOf("c"), bytesOf("d")],
    ],
    [
      "tuples, lists and sets",
      "()K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87]K\x01a](K\x01K\x02e(K\x01l\x8f(K\x01\x90(K\x01\x91t.",
      [[], [1], [1, 2], [1, 2, 3], [1], [1, 2], [1], [1], [1]],
    ],
    [
      "dicts",
      "(}X\x01\0\0\0aK\x01s}(K\x01K\x02K\x03K\x04u(K\x01K\x02dt.",
      [map(["a", 1]), map([1, 2], [3, 4]), map([1, 2])],
    ],
    [
      "the memo, by every instruction",
      "(K\x01p5\nK\x02q\x06K\x03r\x07\0\0\0g5\nh\x06j\x07\0\0\0t.",
      [1, 2, 3, 1, 2, 3],
    ],
    ["MEMOIZE and frames", "\x80\x04\x95\x08\0\0\0\0\0\0\0(K\x01\x94h\0t.", [1, 1]],
    ["POP, POP_MARK and DUP", "(K\x01K\x020(K\x03K\x0412t.", [1, 1]],
    [
      "calls, by every instruction",
      "(cm\npair\nK\x01\x85R\x8c\x01m\x8c\x04pair\x93K\x02\x85\x81cm\npair\nK\x03\x85}\x92(K\x04im\npair\n(cm\npair\nK\x05ot.",
      [{ pair: [1] }, { pair: [2] }, { pair: [3] }, { pair: [4] }, { pair: [5] }],
    ],
  ];
  it.each(values)("reads %s", (_, pickle, expected) => {
    expect(run(pickle)).toEqual(expected);
  });

  it("keeps long text as it lies, and knows its bytes", () => {
    const letters = "\x80\xff".repeat(400);
    const utf8 = run(
      "\x8d",
      [...new Uint8Array(new BigUint64Array([1600n]).buffer)],
      [...new TextEncoder().encode(letters)],
      ".",
    );
    const escaped = run("V", `\\u0080\xff`.repeat(400), "\n.");
    for (const text of [utf8, escaped]) {
      expect(text).toBeInstanceOf(Text);
      expect((text as Text).toBytes()).toEqual(bytesOf(letters));
      expect((text as Text).mayHold(800)).toBe(true);
      expect((text as Text).mayHold(100)).toBe(false);
    }
    expect(new Text(bytesOf("\xe2\x82\xac"), "utf-8").toBytes()).toBeUndefined();
    expect(new Text(bytesOf("\\u20ac"), "escaped").toBytes()).toBeUndefined();
  });

  it("says where it ended, and starts anywhere", () => {
    const bytes = bytesOf("K\x01.K\x02.");
    const first = unpickle(bytes, { globals, where: "w" });
    expect(first).toEqual({ value: 1, end: 3 });
    expect(unpickle(bytes, { globals, where: "w", start: first.end })).toEqual({ value: 2, end: 6 });
  });

  it("shares what refers to itself", () => {
    const list = run("]q\0h\0a.") as unknown[];
    expect(list[0]).toBe(list);
  });

  it("does not expand a billion laughs", () => {
    // Thirty lists, each holding the one before ten times.
    const laughs = Array.from(
      { length: 30 },
      (_, i) => `](${`h${String.fromCharCode(i)}`.repeat(10)}eq${String.fromCharCode(i + 1)}`,
    ).join("");
    expect(run(`]q\0${laughs}.`)).toHaveLength(10);
  });

  const refused: [string, string, string][] = [
    [
      "an unknown global",
      "cos\nsystem\n.",
      'w: byte 0: a file of weights may not use "os.system", and nothing of it was run.',
    ],
    [
      "one named by strings",
      "\x8c\x02os\x8c\x06system\x93.",
      'w: byte 12: a file of weights may not use "os.system"',
    ],
    ["one named like a property", "c__proto__\nconstructor\n.", '"__proto__.constructor"'],
    ["calling what is only named", "cm\nnamed\n)R.", "w: byte 10: m.named may be named here, but not called"],
    ["calling a value", "K\x01)R.", "w: byte 3: the pickle calls something that is no global"],
    ["extensions", "\x82\x01.", "w: byte 0: 0x82 is no instruction of a pickle of weights"],
    ["buffers from elsewhere", "\x97.", "0x97 is no instruction"],
    ["persistent references where there are none", "K\x01Q.", "the pickle refers to something outside of it"],
    ["a protocol to come", "\x80\x06.", "the pickle's protocol must be 0 to 5, got 6"],
    ["an end that is missing", "K\x01", "w: byte 2: the pickle should go on, but the file ends here"],
    ["an empty stack", ".", "takes from an empty stack"],
    ["taking beyond a mark", "K\x01(a.", "takes from an empty stack"],
    ["a mark that is missing", "t.", "takes from an empty stack"],
    ["a memo's entry that is missing", "h\x05.", "the memo has no entry 5"],
    [
      "a text longer than the file",
      "X\xff\xff\xff\x7fa.",
      "w: byte 0: 2147483647 bytes should follow, but the file has 2",
    ],
    [
      "bytes longer than any file",
      "\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
      "18446744073709551615 bytes should follow",
    ],
    ["a negative length", "T\xff\xff\xff\xff.", "a string of -1 bytes can't be"],
    ["an endless integer", "\x8b\xff\xff\xff\x7f.", "an integer of 2147483647 bytes is no number of weights"],
    ["a frame longer than the file", "\x95\xff\0\0\0\0\0\0\0.", "a frame is longer than the file"],
    ["an odd number of items", "}(K\x01u.", "a dict needs as many values as keys"],
    ["items of a number", "K\x01K\x02a.", "items can be appended to a list only"],
    ["keys of a number", "K\x01K\x02K\x03s.", "items can be set in a dict only"],
    ["a state for a number", "K\x01}b.", "an object that takes no state is given one"],
    ["a number that is none", "I1x\n.", 'an integer was expected, got "1x"'],
    ["a float that is none", "FtoString\n.", 'a number was expected, got "toString"'],
    ["a line that doesn't end", "I1", "a line should end, but the file has no more line ends"],
    ["a string without its quote", "S'a\n.", "a quoted string was expected"],
    [
      "a stack deeper than any",
      "N".repeat(70_000),
      "the pickle's stack is deeper than any that Python writes",
    ],
    ["marks without end", "(".repeat(70_000), "the pickle's stack is deeper than any that Python writes"],
    [
      "more objects than its bytes may hold",
      `${"]0".repeat(60_000)}.`,
      "the pickle holds more objects than a file of weights of its size",
    ],
  ];
  it.each(refused)("refuses %s", (_, pickle, message) => {
    expect(() => run(pickle)).toThrow(message);
    expect(() => run(pickle)).toThrow(expect.objectContaining({ code: "weights" }));
  });
});

describe("withSettings", () => {
  const table = withSettings(globals);
  const settings = (pickle: string): unknown =>
    unpickle(bytesOf(pickle), { globals: table, where: "w" }).value;

  // As pickle writes an instance of a subclass of dict with an item and a state, and a class that is named only.
  it.each([
    "pytorch_lightning.utilities.parsing",
    "lightning.fabric.utilities.data",
    "omegaconf.dictconfig",
    "yacs.config",
    "pathlib",
  ])("makes records of what %s has", (module) => {
    expect([
      ...(settings(`c${module}\nAnything\n)\x81X\x02\0\0\0lrK\x01s}b.`) as Map<unknown, unknown>),
    ]).toEqual([["lr", 1]]);
    expect(settings(`}c${module}\nAnything\nK\x01s.`)).toBeInstanceOf(Map);
  });

  it.each([
    "os.system",
    "pathlibs.Path",
    "builtins.eval",
    "torch.load",
    "torch.float32.x",
    "posix.system",
    "lightningx.y",
  ])("still refuses %s", (name) => {
    const at = name.lastIndexOf(".");
    expect(() => settings(`c${name.slice(0, at)}\n${name.slice(at + 1)}\n.`)).toThrow(
      `may not use ${JSON.stringify(name)}`,
    );
  });
});
