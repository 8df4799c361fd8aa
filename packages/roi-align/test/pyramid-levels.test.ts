import { expect, test } from "vitest";
import { golden } from "@mrcnn/testing";
import { assignPyramidLevels } from "@mrcnn/roi-align";

interface Golden {
  readonly levelBoxes: readonly number[];
  readonly levels: readonly number[];
}

test("levels equal torchvision's, within 1e-6 of the borders too", () => {
  const { levelBoxes, levels } = golden<Golden>(import.meta.url, "roi-align-pyramid");
  expect([...assignPyramidLevels(Float32Array.from(levelBoxes), { minLevel: 2, maxLevel: 5 })]).toEqual(
    levels,
  );
});

test("levels equal detectron2's, at the borders too", () => {
  const { levelBoxes, levels } = golden<Golden>(import.meta.url, "detectron2");
  expect([
    ...assignPyramidLevels(Float32Array.from(levelBoxes), {
      minLevel: 2,
      maxLevel: 5,
      levelRule: "detectron2",
    }),
  ]).toEqual(levels);
});

test("levels equal matterport's, half-way between two too", () => {
  const { levelBoxes, levels, levelSide } = golden<Golden & { levelSide: number }>(
    import.meta.url,
    "crop-and-resize",
  );
  const options = {
    minLevel: 2,
    maxLevel: 5,
    levelRule: "matterport",
    imageSize: { height: levelSide, width: levelSide },
  } as const;
  expect([
    ...assignPyramidLevels(
      Float32Array.from(levelBoxes, (v) => v / (levelSide - 1)),
      options,
    ),
  ]).toEqual(levels);
});

test("the paper's rule: 224² at level 4, half the side one level finer, clamped at both ends", () => {
  const squares = Float32Array.from([1, 100, 112, 224, 448, 5000].flatMap((side) => [0, 0, side, side]));
  expect([...assignPyramidLevels(squares, { minLevel: 2, maxLevel: 5 })]).toEqual([2, 2, 3, 4, 5, 5]);
  const empty = Float32Array.of(5, 5, 5, 9, 9, 9, 5, 12);
  expect([...assignPyramidLevels(empty, { minLevel: 2, maxLevel: 5 })]).toEqual([2, 2]);
});

test("levels the wrong way round, and fractions of no image, are refused", () => {
  expect(() =>
    assignPyramidLevels(new Float32Array(4), { minLevel: 2, maxLevel: 5, levelRule: "matterport" }),
  ).toThrow('assignPyramidLevels: imageSize must be given for the levelRule "matterport".');
  expect(() => assignPyramidLevels(new Float32Array(4), { minLevel: 5, maxLevel: 2 })).toThrow(
    "assignPyramidLevels: minLevel must be at most maxLevel, got 5 and 2.",
  );
});
