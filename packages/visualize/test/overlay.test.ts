import { drawGroundTruth, drawOverlay, instanceColor } from "../src/index.ts";
import type { Detections, GroundTruth, RawImage } from "@mrcnn/core";
import { bitmapFromFull, encodeRle } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";

const WIDTH = 200;
const HEIGHT = 120;
const gray = (width = WIDTH, height = HEIGHT): RawImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(100),
});
const pixel = (image: RawImage, x: number, y: number): number[] => [
  ...image.data.subarray((y * image.width + x) * 3, (y * image.width + x) * 3 + 3),
];
const mixed = (a: readonly number[], b: readonly number[], opacity: number): number[] => [
  ...Uint8ClampedArray.from(a, (v, c) => v * (1 - opacity) + b[c]! * opacity),
];
const GRAY = [100, 100, 100];

// A square of 40 at (60, 50), and a box around it with a margin of 10.
const square = bitmapFromFull(
  Array.from({ length: WIDTH * HEIGHT }, (_, i) =>
    Number(i % WIDTH >= 60 && i % WIDTH < 100 && Math.floor(i / WIDTH) >= 50 && Math.floor(i / WIDTH) < 90),
  ),
  { height: HEIGHT, width: WIDTH },
);
const detections = (extra: Partial<Detections> = {}): Detections => ({
  imageSize: { height: HEIGHT, width: WIDTH },
  boxes: Float32Array.of(50, 40, 110, 100),
  labels: Int32Array.of(1),
  scores: Float32Array.of(0.9),
  masks: [encodeRle(square)],
  ...extra,
});
const classNames = ["background", "dog"];

describe("drawOverlay", () => {
  const color = instanceColor(0);

  it("fills masks, darkens their contour and draws the box", () => {
    const drawn = drawOverlay(gray(), detections(), { classNames, maskOpacity: 0.5, showLabels: false });
    expect(pixel(drawn, 80, 70)).toEqual(mixed(GRAY, color, 0.5));
    const contour = mixed(
      GRAY,
      color.map((v) => v * 0.55),
      0.9,
    );
    for (const [x, y] of [
      [60, 70],
      [99, 70],
      [80, 50],
      [80, 89],
    ] as const)
      expect(pixel(drawn, x, y)).toEqual(contour);
    for (const [x, y] of [
      [50, 40],
      [109, 99],
      [50, 70],
      [80, 99],
    ] as const)
      expect(pixel(drawn, x, y)).toEqual([...color]);
    for (const [x, y] of [
      [55, 70],
      [49, 70],
      [110, 70],
      [80, 45],
      [0, 0],
    ] as const)
      expect(pixel(drawn, x, y)).toEqual(GRAY);
  });

  it("leaves the image as it was, and draws nothing below the threshold", () => {
    const image = gray();
    const drawn = drawOverlay(image, detections(), { classNames, scoreThreshold: 0.95 });
    expect(drawn).toMatchObject({ width: WIDTH, height: HEIGHT });
    expect([...drawn.data]).toEqual([...image.data]);
    drawOverlay(image, detections(), { classNames });
    expect(image.data.every((v) => v === 100)).toBe(true);
  });

  it("takes boxes without masks, and can leave the boxes out", () => {
    const { masks: _, ...boxesOnly } = detections();
    const drawn = drawOverlay(gray(), boxesOnly, { classNames, showLabels: false });
    expect([pixel(drawn, 80, 70), pixel(drawn, 50, 40)]).toEqual([GRAY, [...color]]);
    const masksOnly = drawOverlay(gray(), detections(), { classNames, showLabels: false, showBoxes: false });
    expect(pixel(masksOnly, 50, 40)).toEqual(GRAY);
  });

  it("draws small objects over large ones", () => {
    const two = detections({
      boxes: Float32Array.of(60, 50, 80, 70, 60, 50, 150, 110),
      labels: Int32Array.of(1, 1),
      scores: Float32Array.of(0.9, 0.8),
      masks: [],
    });
    const drawn = drawOverlay(gray(), two, { classNames, showLabels: false });
    expect(pixel(drawn, 60, 50)).toEqual([...color]);
    expect(pixel(drawn, 149, 109)).toEqual([...instanceColor(1)]);
  });

  it("puts a filled tag above the box, in the image even where the box is not", () => {
    const drawn = drawOverlay(gray(), detections(), { classNames });
    expect(pixel(drawn, 50, 39)).toEqual([...color]);
    // Some of the tag is ink.
    const ink = [...Array(30).keys()].flatMap((x) =>
      [...Array(10).keys()].map((y) => pixel(drawn, 50 + x, 29 + y).join()),
    );
    expect(new Set(ink).size).toBeGreaterThan(1);
    for (const box of [
      [-50, -50, 30, 30],
      [190, -20, 260, 10],
      [150, 100, 900, 900],
      [-90, 119, -2, 300],
    ]) {
      const changed = drawOverlay(gray(), detections({ boxes: Float32Array.from(box), masks: [] }), {
        classNames,
        showBoxes: false,
      });
      const inTag: number[] = [];
      for (let i = 0; i < WIDTH * HEIGHT; i++)
        if (pixel(changed, i % WIDTH, Math.floor(i / WIDTH)).join() !== "100,100,100") inTag.push(i);
      // A whole tag of 8 rows of dots and its margins.
      expect(inTag.length, String(box)).toBeGreaterThan(300);
    }
  });

  it("keeps tags apart", () => {
    const boxes = Float32Array.of(50, 40, 110, 100, 52, 41, 111, 101);
    const text = (shown: number) =>
      drawOverlay(
        gray(),
        detections({
          boxes: boxes.slice(0, 4 * shown),
          labels: Int32Array.of(1, 1).slice(0, shown),
          scores: Float32Array.of(0.9, 0.8).slice(0, shown),
          masks: [],
        }),
        { classNames, showBoxes: false },
      );
    const [one, both] = [text(1), text(2)];
    // The first tag is the same whether or not there is a second.
    for (let y = 25; y < 40; y++)
      for (let x = 50; x < 95; x++) expect(pixel(both, x, y)).toEqual(pixel(one, x, y));
  });

  it("leaves tags out by default where there are many objects", () => {
    const many = detections({
      boxes: new Float32Array(41 * 4).map((_, i) => [50, 40, 110, 100][i % 4]!),
      labels: new Int32Array(41).fill(1),
      scores: new Float32Array(41).fill(1),
      masks: [],
    });
    expect(pixel(drawOverlay(gray(), many, { classNames }), 52, 38)).toEqual(GRAY);
    expect(pixel(drawOverlay(gray(), many, { classNames, showLabels: true }), 52, 38)).not.toEqual(GRAY);
  });

  it("enlarges by a whole factor before it draws", () => {
    const drawn = drawOverlay(gray(), detections(), {
      classNames,
      scale: 3,
      showLabels: false,
      maskOpacity: 0.5,
    });
    expect(drawn).toMatchObject({ width: 600, height: 360 });
    expect(pixel(drawn, 240, 210)).toEqual(mixed(GRAY, color, 0.5));
    expect(pixel(drawn, 150, 120)).toEqual([...color]);
    expect(pixel(drawn, 149, 120)).toEqual(GRAY);
    expect(pixel(drawn, 179, 200)).toEqual(GRAY);
    expect(pixel(drawn, 180, 200)).not.toEqual(GRAY);
  });

  it("refuses options out of range and a cut image", () => {
    expect(() => drawOverlay(gray(), detections(), { classNames, maskOpacity: 2 })).toThrow(
      "drawOverlay: maskOpacity must be from 0 to 1, got 2",
    );
    expect(() => drawOverlay(gray(), detections(), { classNames, scale: 1.5 })).toThrow(
      "scale must be a whole number from 1, got 1.5",
    );
    expect(() => drawOverlay({ ...gray(), width: 7 }, detections(), { classNames })).toThrow(
      "drawOverlay: image.data must hold 2520 values",
    );
  });
});

describe("keypoints", () => {
  // Three in a row: the first and second joined, the third of a low score.
  const points = Float32Array.of(20.5, 60.5, 1, 120.5, 60.5, 1, 180.5, 60.5, 1);
  const keypoints = { count: 3, points, scores: Float32Array.of(4, 0, -0.1) };
  const boxes = Float32Array.of(10, 5, 190, 110);
  const skeleton = [
    [0, 1],
    [1, 2],
  ] as const;
  const names = ["left_hip", "left_knee", "nose"];
  const draw = (
    style: Parameters<typeof drawOverlay>[2]["keypoints"],
    extra: Partial<Detections> = {},
    scale = 1,
  ): RawImage => {
    const { masks: _, ...rest } = detections({ boxes, keypoints, ...extra });
    return drawOverlay(gray(), rest, {
      classNames,
      showBoxes: false,
      showLabels: false,
      scale,
      ...(style === undefined ? {} : { keypoints: style }),
    });
  };
  const changed = (image: RawImage): [number, number][] =>
    [...Array(image.width * image.height).keys()]
      .map((i): [number, number] => [i % image.width, Math.floor(i / image.width)])
      .filter(([x, y]) => pixel(image, x, y).join() !== "100,100,100");

  it("draws joints and limbs from a score of 0 up, limbs in the colour of their side", () => {
    const drawn = draw({ skeleton, names });
    const green = [64, 220, 96];
    for (const x of [20, 60, 90, 120]) expect(pixel(drawn, x, 60), String(x)).toEqual(green);
    expect(changed(drawn).every(([x, y]) => x >= 17 && x <= 123 && y >= 57 && y <= 63)).toBe(true);
    // A limb is symmetric about its middle, and outlined darkly.
    for (const d of [1, 2, 3]) expect(pixel(drawn, 70, 60 + d)).toEqual(pixel(drawn, 70, 60 - d));
    expect(Math.max(...pixel(drawn, 70, 61))).toBeLessThan(220);
  });
  it("takes another threshold", () => {
    expect(changed(draw({ skeleton, threshold: -1 })).some(([x]) => x > 150)).toBe(true);
    expect(changed(draw({ skeleton, threshold: 1 })).every(([x]) => x < 25)).toBe(true);
    expect(changed(draw({ skeleton, threshold: 5 }))).toEqual([]);
  });
  it("draws joints alone without a skeleton, in one colour without names", () => {
    const drawn = draw(undefined);
    expect([pixel(drawn, 20, 60), pixel(drawn, 70, 60), pixel(drawn, 120, 60)]).toEqual([
      [64, 164, 255],
      GRAY,
      [64, 164, 255],
    ]);
  });
  it("follows the scale, and cuts off what is outside", () => {
    expect(pixel(draw({ skeleton, names }, {}, 3), 3 * 70 + 1, 3 * 60 + 1)).toEqual([64, 220, 96]);
    const far = { ...keypoints, points: Float32Array.of(-30, -5, 1, 500, 400, 1, 0, 0, 1) };
    expect(() => draw({ skeleton }, { keypoints: far })).not.toThrow();
  });
  it("draws those of the shown objects only", () => {
    const two = {
      boxes: Float32Array.of(...boxes, ...boxes),
      labels: Int32Array.of(1, 1),
      scores: Float32Array.of(0.9, 0.1),
      keypoints: { count: 1, points: Float32Array.of(30, 30, 1, 90, 90, 1), scores: Float32Array.of(1, 1) },
    };
    expect(changed(draw({}, two)).every(([x]) => x < 40)).toBe(true);
  });
  it("refuses keypoints of other objects", () => {
    expect(() => draw({}, { keypoints: { ...keypoints, count: 17 } })).toThrow(
      "drawOverlay: keypoints.points must hold 51 values",
    );
    expect(() => draw({}, { keypoints: { ...keypoints, scores: new Float32Array(2) } })).toThrow(
      "drawOverlay: keypoints.scores must hold 3 values",
    );
  });
});

describe("drawGroundTruth", () => {
  it("draws objects as detections are drawn, and says which are crowds", () => {
    const groundTruth: GroundTruth = {
      boxes: detections().boxes,
      labels: Int32Array.of(1),
      masks: [square],
      isCrowd: Uint8Array.of(0),
    };
    const options = { classNames, showLabels: false };
    expect([...drawGroundTruth(gray(), groundTruth, options).data]).toEqual([
      ...drawOverlay(gray(), detections(), options).data,
    ]);
    const tag = (isCrowd: number): number[] => [
      ...drawGroundTruth(gray(), { ...groundTruth, isCrowd: Uint8Array.of(isCrowd) }, { classNames }).data,
    ];
    expect(tag(1)).not.toEqual(tag(0));
  });
});
