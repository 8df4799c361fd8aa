import { createCocoEvaluator, evaluateCoco } from "../src/index.ts";
import type { CocoDetection, CocoEvaluator, CocoGroundTruth, EvaluateCocoOptions } from "../src/index.ts";
import { createRandom, isMrcnnError } from "@mrcnn/core";
import { rleFromCounts, segmentationToRle } from "@mrcnn/masks";
import type { CocoBox, CocoImage, CocoJson, CocoResult, CocoSegmentation } from "@mrcnn/masks";
import { golden } from "@mrcnn/testing";
import { describe, expect, it } from "vitest";

interface EvaluatedImage {
  readonly imageId: number;
  readonly groundTruth: readonly CocoGroundTruth[];
  readonly detections: readonly CocoDetection[];
}
const addTo = (evaluator: CocoEvaluator, { imageId, groundTruth, detections }: EvaluatedImage): void =>
  evaluator.add(imageId, detections, groundTruth);

const categories = [
  { id: 9, name: "cat" },
  { id: 2, name: "dog" },
];
const randomImages = (seed: number): EvaluatedImage[] => {
  const random = createRandom(seed);
  const box = (): CocoBox => [
    random.uniform() * 50,
    random.uniform() * 50,
    5 + random.uniform() * 60,
    5 + random.uniform() * 60,
  ];
  return Array.from({ length: 12 }, (_, i) => {
    const groundTruth: CocoGroundTruth[] = Array.from({ length: random.int(5) }, () => ({
      categoryId: random.uniform() < 0.5 ? 2 : 9,
      bbox: box(),
      isCrowd: random.uniform() < 0.2,
    }));
    const detections: CocoDetection[] = groundTruth.flatMap((gt) =>
      Array.from({ length: random.int(3) }, () => ({
        categoryId: gt.categoryId,
        score: Math.round(random.uniform() * 10) / 10,
        bbox: gt.bbox!.map((v) => v + random.normal()) as unknown as CocoBox,
      })),
    );
    return { imageId: 40 - i, groundTruth, detections };
  });
};

describe("createCocoEvaluator", () => {
  it("gives the same numbers in any order of images, and as the whole-file function", () => {
    const images = randomImages(3);
    const forward = createCocoEvaluator({ iouType: "bbox", categories });
    for (const image of images) addTo(forward, image);
    const shuffled = createCocoEvaluator({ iouType: "bbox", categories });
    for (const image of createRandom(1).shuffle([...images])) addTo(shuffled, image);
    expect(shuffled.summarize()).toEqual(forward.summarize());

    const json = {
      images: images.map(({ imageId }) => ({ id: imageId, width: 200, height: 200, file_name: "" })),
      categories,
      annotations: images
        .flatMap(({ imageId, groundTruth }) => groundTruth.map((gt) => ({ gt, imageId })))
        .map(({ gt, imageId }, i) => ({
          id: i,
          image_id: imageId,
          category_id: gt.categoryId,
          bbox: gt.bbox!,
          iscrowd: Number(gt.isCrowd),
        })),
    };
    const results = images.flatMap(({ imageId, detections }) =>
      detections.map((d) => ({
        image_id: imageId,
        category_id: d.categoryId,
        score: d.score,
        bbox: d.bbox!,
      })),
    );
    expect(evaluateCoco(json, results, { iouType: "bbox" }).stats).toEqual(forward.summarize());
  });

  it("lists categories by id and keeps arrays in pycocotools' axes", () => {
    const evaluator = createCocoEvaluator({ iouType: "bbox", categories });
    evaluator.add(
      1,
      [{ categoryId: 9, score: 1, bbox: [0, 0, 9, 9] }],
      [{ categoryId: 9, bbox: [0, 0, 9, 9] }],
    );
    expect(evaluator.perCategory()).toMatchObject([
      { id: 2, name: "dog", AP: -1, instances: 0 },
      { id: 9, name: "cat", AR: 1, instances: 1 },
    ]);
    const { precision, recall, objects } = evaluator.accumulate();
    expect([precision.length, recall.length]).toEqual([10 * 101 * 2 * 4 * 3, 10 * 2 * 4 * 3]);
    expect([...objects]).toEqual([0, 0, 0, 0, 1, 1, 0, 0]);
    // T 9, R 100, category place 1, all sizes, last limit: perfect up to numpy.spacing(1).
    expect(precision[(((9 * 101 + 100) * 2 + 1) * 4 + 0) * 3 + 2]).toBeCloseTo(1, 14);
    expect(recall[0]).toBe(-1);
  });

  it("is updated by each image", () => {
    const evaluator = createCocoEvaluator({ iouType: "bbox", categories });
    const groundTruth = [{ categoryId: 2, bbox: [0, 0, 40, 40] as const }];
    evaluator.add(1, [], groundTruth);
    expect(evaluator.summarize().AR1).toBe(0);
    evaluator.add(2, [{ categoryId: 2, score: 0.1, bbox: [0, 0, 40, 40] }], groundTruth);
    expect(evaluator.summarize().AR1).toBe(0.5);
  });

  it("matches masks by pixels, not boxes", () => {
    const size = { height: 2, width: 2 };
    const diagonal = (first: boolean) => rleFromCounts(first ? [0, 1, 2, 1] : [1, 2, 1], size);
    const evaluator = createCocoEvaluator({ iouType: "segm", categories });
    evaluator.add(
      1,
      [
        { categoryId: 2, score: 1, mask: diagonal(false) },
        { categoryId: 2, score: 0.5, mask: diagonal(true) },
      ],
      [{ categoryId: 2, mask: diagonal(true) }],
    );
    // The first overlaps nothing: precision 1/2 at every recall.
    expect(evaluator.summarize().AP).toBeCloseTo(0.5, 14);
  });

  it("gives image by image the numbers of whole files, by masks and by keypoints", () => {
    const { groundTruth, results } = golden<{ groundTruth: CocoJson; results: { segm: CocoResult[] } }>(
      import.meta.url,
      "crowds",
    );
    const evaluator = createCocoEvaluator({ iouType: "segm", categories: groundTruth.categories });
    const size = ({ height, width }: CocoImage) => ({ height, width });
    for (const image of groundTruth.images) {
      const mask = (segmentation: CocoSegmentation) => segmentationToRle(segmentation, size(image));
      evaluator.add(
        image.id,
        results.segm
          .filter((one) => one.image_id === image.id)
          .map((one) => ({ categoryId: one.category_id, score: one.score, mask: mask(one.segmentation!) })),
        groundTruth.annotations
          .filter((one) => one.image_id === image.id)
          .map((one) => ({
            categoryId: one.category_id,
            area: one.area!,
            isCrowd: one.iscrowd === 1,
            mask: mask(one.segmentation!),
          })),
      );
    }
    expect(evaluator.accumulate()).toEqual(
      evaluateCoco(groundTruth, results.segm, { iouType: "segm" }).accumulated,
    );

    const [persons] = golden<{
      cases: { groundTruth: CocoJson; results: CocoResult[]; options: EvaluateCocoOptions }[];
    }>(import.meta.url, "random-keypoints").cases;
    const { imageIds: _images, categoryIds: _categories, ...options } = persons!.options;
    const streaming = createCocoEvaluator({ ...options, categories: persons!.groundTruth.categories });
    for (const { id } of persons!.groundTruth.images) {
      streaming.add(
        id,
        persons!.results
          .filter((one) => one.image_id === id)
          .map(({ category_id: categoryId, score, keypoints, bbox }) => ({
            categoryId,
            score,
            keypoints: keypoints!,
            ...(bbox === undefined ? {} : { bbox }),
          })),
        persons!.groundTruth.annotations
          .filter((one) => one.image_id === id)
          .map((one) => ({
            categoryId: one.category_id,
            area: one.area!,
            isCrowd: one.iscrowd === 1,
            keypoints: one.keypoints!,
            bbox: one.bbox,
          })),
      );
    }
    expect(streaming.accumulate()).toEqual(
      evaluateCoco(persons!.groundTruth, persons!.results, options).accumulated,
    );
  });

  it("compares keypoints by hand", () => {
    // Two keypoints of sigma 0.1 on an object of 100 pixels: off by nothing, and by d with d² / (0.2² 100 2) = 1: (1 + 1/e) / 2 = 0.684.
    const evaluator = createCocoEvaluator({
      iouType: "keypoints",
      categories,
      sigmas: [0.1, 0.1],
      iouThresholds: [0.68, 0.69],
    });
    const d = Math.sqrt(0.2 ** 2 * 100 * 2);
    evaluator.add(
      1,
      [{ categoryId: 2, score: 1, keypoints: [5, 5, 1, 8 + d, 8, 1] }],
      [{ categoryId: 2, bbox: [0, 0, 10, 10], area: 100, keypoints: [5, 5, 2, 8, 8, 1] }],
    );
    expect([...evaluator.accumulate().recall].filter((value) => value >= 0)).toEqual([1, 0]);
    expect(evaluator.summarize()).toMatchObject({ AR50: -1, APm: -1 });
    const say = (keypoints: number[]) => () => evaluator.add(2, [{ categoryId: 2, score: 1, keypoints }], []);
    expect(say([1, 2, 3])).toThrow(
      "image 2: detections[0]: keypoints must be (x, y, visibility) of 2 keypoints, as many as sigmas, got 3 numbers",
    );
    expect(say([1, 2, 3, 4, 5, NaN])).toThrow("keypoints must be (x, y, visibility) of 2");
  });

  it("leaves nothing behind of an image it refuses", () => {
    const evaluator = createCocoEvaluator({ iouType: "bbox", categories });
    const good = {
      imageId: 5,
      groundTruth: [{ categoryId: 2, bbox: [0, 0, 4, 4] as const }],
      detections: [],
    };
    const refused: [EvaluatedImage, string][] = [
      [
        { ...good, detections: [{ categoryId: 1, score: 1, bbox: [0, 0, 1, 1] }] },
        "image 5: detections[0]: categoryId must be one of the evaluated categories (2, 9), got 1",
      ],
      [
        { ...good, detections: [{ categoryId: 2, score: NaN, bbox: [0, 0, 1, 1] }] },
        "image 5: detections[0]: score must be a finite number, got NaN",
      ],
      [
        { ...good, groundTruth: [{ categoryId: 2 }] },
        "image 5: groundTruth[0]: bbox must be [x, y, width, height]",
      ],
      [{ ...good, groundTruth: [{ categoryId: 2, bbox: [0, 0, -4, 4] }] }, "sizes >= 0, got [0,0,-4,4]"],
    ];
    for (const [image, message] of refused) {
      let error: unknown;
      try {
        addTo(evaluator, image);
      } catch (thrown) {
        error = thrown;
      }
      expect(isMrcnnError(error, "dataset")).toBe(true);
      expect(String(error)).toContain(message);
    }
    addTo(evaluator, good);
    expect(() => addTo(evaluator, good)).toThrow("image 5: was added before");
    expect(evaluator.perCategory()[0]!.instances).toBe(1);
    const masks = createCocoEvaluator({ iouType: "segm", categories });
    expect(() => addTo(masks, good)).toThrow(
      'image 5: groundTruth[0]: must have a mask to be evaluated by "segm"',
    );
  });

  it.each<[string, object]>([
    ['iouType must be "bbox", "segm" or "keypoints"', { iouType: "mask" }],
    ["maxDetections must be one or more whole numbers above 0, ascending", { maxDetections: [] }],
    ["maxDetections must be", { maxDetections: [1, 100, 10] }],
    ["iouThresholds must be one or more numbers in (0, 1]", { iouThresholds: [50] }],
    ["recallThresholds must be", { recallThresholds: [1, 0] }],
    ["categories must be of unique ids", { categories: [categories[0], categories[0]] }],
  ])("says %s", (message, options) => {
    expect(() => createCocoEvaluator({ iouType: "bbox", categories, ...options })).toThrow(
      `createCocoEvaluator: ${message}`,
    );
  });
});
