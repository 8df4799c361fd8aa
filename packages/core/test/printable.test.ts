import { expect, test } from "vitest";
import { MrcnnError, printable, WeightsError } from "../src/index.ts";

// The code points are Unicode's and ECMA-48's: ESC, CSI (C1), DEL, BEL, a right-to-left override, a line separator.
test.each([
  ["an escape sequence", "\u001b[31mred\u001b[0m", "\\u001b[31mred\\u001b[0m"],
  ["the one-byte form of it", "\u009b2J", "\\u009b2J"],
  ["a title with a bell", "\u001b]0;title\u0007", "\\u001b]0;title\\u0007"],
  ["ends of lines", "a\nb\r\u2028c", "a\\u000ab\\u000d\\u2028c"],
  ["turned text", "gnp\u202efdp.exe", "gnp\\u202efdp.exe"],
  ["half a pair", "a\ud800", "a\\ud800"],
  ["tags", "a\u{e0041}", "a\\udb40\\udc41"],
])("%s is shown", (_, text, shown) => {
  expect(printable(text)).toBe(shown);
});

test("letters of any language stay", () => {
  for (const name of ["backbone.body.conv1.weight", "Käfer", "می\u200cخواهم", "車", "👩\u200d🚀", "a\u00a0b"])
    expect(printable(name)).toBe(name);
});

test("a long text is cut", () => {
  expect(printable("x".repeat(1000))).toBe(`${"x".repeat(200)}…`);
  expect(printable("abcdef", 3)).toBe("abc…");
  expect(printable("abc", 3)).toBe("abc");
});

test("errors show what their messages bring along, and keep their lines", () => {
  for (const error of [
    new WeightsError("w: tensor \u001b[2J\nsecond\tline\u009b"),
    new MrcnnError("weights", "w: tensor \u001b[2J\nsecond\tline\u009b"),
  ]) {
    expect(error.message).toBe("w: tensor \\u001b[2J\nsecond\tline\\u009b");
  }
});
