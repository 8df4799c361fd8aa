import { textColumns } from "../src/font.ts";
import { canvasOf, drawText, textSize } from "../src/canvas.ts";
import { describe, expect, it } from "vitest";

const draw = (text: string): string[] => {
  const columns = textColumns(text);
  return Array.from({ length: 8 }, (_, row) =>
    columns.map((bits) => ((bits >> row) & 1 ? "#" : ".")).join(""),
  );
};

describe("the built-in font", () => {
  it("draws letters as one reads them", () => {
    expect(draw("Lg")).toEqual([
      "#..........",
      "#..........",
      "#......####",
      "#.....#...#",
      "#.....#...#",
      "#......####",
      "#####.....#",
      ".......###.",
    ]);
  });

  it("has every printable letter, each different", () => {
    const all = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
    expect(new Set(all.map((letter) => textColumns(letter).join())).size).toBe(95);
    for (const letter of all)
      for (const bits of textColumns(letter)) expect(bits >= 0 && bits < 256).toBe(true);
  });

  it("leaves accents out and shows what it lacks as a question mark", () => {
    expect(textColumns("é")).toEqual(textColumns("e"));
    expect(textColumns("犬")).toEqual(textColumns("?"));
    expect(textColumns("")).toEqual([]);
  });

  it("draws whole dots at whole scales, within the image only", () => {
    const canvas = canvasOf({ width: 12, height: 10, data: new Uint8Array(360) }, 1);
    drawText(canvas, "l", 8, -2, 2, [255, 0, 0]);
    drawText(canvas, "W", 11, 9, 3, [255, 0, 0]);
    expect(textSize("l", 2)).toEqual({ width: 6, height: 16 });
    // "l" is three columns: a dot on top left, a stem, a foot; the stem is the middle column, 2 pixels wide from x = 10.
    expect([...canvas.data.subarray((5 * 12 + 10) * 3, (5 * 12 + 10) * 3 + 3)]).toEqual([255, 0, 0]);
    expect(canvas.data[(5 * 12 + 8) * 3]).toBe(0);
  });
});
