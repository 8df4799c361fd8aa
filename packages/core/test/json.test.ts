import { describe, expect, it } from "vitest";
import { compareIds, isCocoId, parseJson, quote, toJson } from "../src/index.ts";

describe("parseJson", () => {
  it.each<[string, unknown]>([
    ["7706992903151817197", 7706992903151817197n],
    [
      "[9007199254740991, 9007199254740992, -9007199254740993]",
      [9007199254740991, 9007199254740992n, -9007199254740993n],
    ],
    [
      '{"id":12345678901234567890,"score":0.1234567890123456789}',
      { id: 12345678901234567890n, score: Number("0.1234567890123456789") },
    ],
    ['["7706992903151817197", 7706992903151817197]', ["7706992903151817197", 7706992903151817197n]],
    [
      "[1e300, 12345678901234567890.0, 12345678901234567890e2]",
      [1e300, Number("12345678901234567890"), Number("12345678901234567890e2")],
    ],
    // Text that looks like the marks within, as values and as keys, escapes and quotes about it.
    [
      '{"\\u0000n1": ["\\u0000n5", "\\u0000s", "a\\"\\u0000n5", 7706992903151817197]}',
      { "\0n1": ["\0n5", "\0s", 'a"\0n5', 7706992903151817197n] },
    ],
  ])("keeps %s", (text, value) => expect(parseJson(text)).toEqual(value));

  it("takes long strings, many entries and deep lists", () => {
    const text = `[${JSON.stringify('a"\\'.repeat(1e6))},${"[".repeat(1e5)}7706992903151817197${"]".repeat(1e5)}]`;
    const [long, deep] = parseJson(text) as [string, unknown[]];
    expect(long).toHaveLength(3e6);
    let inner: unknown = deep;
    while (Array.isArray(inner)) inner = inner[0];
    expect(inner === 7706992903151817197n).toBe(true);
  });

  it("says of the text itself what is no JSON", () => {
    for (const text of [
      "[7706992903151817197,]",
      '{"a": 77069929031518171970 1}',
      "[07706992903151817197]",
    ]) {
      expect(() => parseJson(text)).toThrow(SyntaxError);
      expect(() => parseJson(text)).not.toThrow(/u0000/);
    }
  });
});

describe("toJson", () => {
  it("writes bigints as digits, and the rest as JSON.stringify", () => {
    const value = { a: [1, "x\n", null, true, { b: [] }, {}], c: undefined, d: NaN, 'e"': 0.1 };
    expect(toJson(value)).toBe(JSON.stringify(value));
    expect(toJson(value, { indent: 2 })).toBe(JSON.stringify(value, null, 2));
    const large = { id: 7706992903151817197n, ids: ["7706992903151817197", -9007199254740993n] };
    expect(toJson(large)).toBe('{"id":7706992903151817197,"ids":["7706992903151817197",-9007199254740993]}');
    expect(parseJson(toJson(large))).toEqual(large);
  });
});

describe("quote", () => {
  it.each<[unknown, string]>([
    ["1", '"1"'],
    [1, "1"],
    [[NaN, Infinity, null, 2n ** 64n], "[NaN,Infinity,null,18446744073709551616]"],
    [undefined, "nothing"],
    [JSON.parse("[".repeat(1e5) + "]".repeat(1e5)), `${"[".repeat(57)}...`],
    [{ a: "\u001b" }, '{"a":"\\u001b"}'],
    ["x".repeat(100), `"${"x".repeat(56)}...`],
    [Array.from({ length: 1e6 }, () => 1), `[${"1,".repeat(28)}...`],
  ])("shows a value as the second: %#", (value, text) => expect(quote(value)).toBe(text));
});

describe("ids", () => {
  it("sort as Python sorts them", () => {
    expect([3, 20n ** 20n, -1, 10].toSorted(compareIds)).toEqual([-1, 3, 10, 20n ** 20n]);
    // sorted(["b", "a\U0001f600", "a\uffff", "a", ""])
    expect(["b", "a\u{1f600}", "a\uffff", "a", ""].toSorted(compareIds)).toEqual([
      "",
      "a",
      "a\uffff",
      "a\u{1f600}",
      "b",
    ]);
    expect(["1", 2, "0", 1].toSorted(compareIds)).toEqual([1, 2, "0", "1"]);
  });
  it("are whole numbers that are exact, or text", () => {
    expect([1, -1, "1", "", 2n ** 64n].map(isCocoId)).toEqual([true, true, true, true, true]);
    expect([1.5, 2 ** 53, NaN, null, undefined, true, [1]].map(isCocoId)).toEqual([
      false,
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});
