import { tileImages } from "../src/index.ts";
import type { RawImage } from "@mrcnn/core";
import { describe, expect, it } from "vitest";

const filled = (width: number, height: number, value: number): RawImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
});
const rows = (image: RawImage): string[] =>
  Array.from({ length: image.height }, (_, y) =>
    Array.from({ length: image.width }, (_, x) => image.data[(y * image.width + x) * 3]).join(" "),
  );

describe("tileImages", () => {
  it("lays images out in rows, centred in equal cells", () => {
    const sheet = tileImages([filled(3, 3, 1), filled(1, 1, 2), filled(2, 3, 3)], {
      columns: 2,
      gap: 1,
      background: [9, 9, 9],
    });
    expect(rows(sheet)).toEqual([
      "1 1 1 9 9 9 9",
      "1 1 1 9 9 2 9",
      "1 1 1 9 9 9 9",
      "9 9 9 9 9 9 9",
      "3 3 9 9 9 9 9",
      "3 3 9 9 9 9 9",
      "3 3 9 9 9 9 9",
    ]);
  });

  it("makes no empty columns, and refuses none", () => {
    expect(tileImages([filled(2, 2, 1)], { columns: 5 })).toMatchObject({ width: 2, height: 2 });
    expect(() => tileImages([], { columns: 1 })).toThrow("tileImages: images must hold at least one");
    expect(() => tileImages([filled(1, 1, 0)], { columns: 0 })).toThrow(
      "columns must be a whole number from 1, got 0",
    );
  });
});
