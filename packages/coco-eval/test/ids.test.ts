// Ids that are text or beyond 2^53 are kept as they stand, and rank as pycocotools sorts them.
import { parseJson, toJson } from "@mrcnn/core";
import type { CocoId } from "@mrcnn/core";
import type { CocoJson, CocoResult } from "@mrcnn/masks";
import { describe, expect, it } from "vitest";
import { createCocoEvaluator, evaluateCoco, evaluateCocoStream } from "../src/index.ts";

// Images of one object each; every other one is found, all scores are equal, so AP goes by the order of the image ids. By
// pycocotools 2.0.11, on each of the sets below: AP when the first in Python's order is found, and when it is not.
const [FOUND_FIRST, MISSED_FIRST] = [0.4224422442244224, 0.2524752475247525];
const box = [10, 10, 20, 20] as const;
const far = [60, 60, 20, 20] as const;
function filesOf(
  ids: readonly CocoId[],
  categoryId: CocoId,
): { groundTruth: CocoJson; results: CocoResult[] } {
  const groundTruth: CocoJson = {
    images: ids.map((id, i) => ({ id, width: 100, height: 100, file_name: `${i}.png` })),
    categories: [{ id: categoryId, name: "thing" }],
    annotations: ids.map((id, i) => ({
      id: i + 1,
      image_id: id,
      category_id: categoryId,
      bbox: box,
      area: 400,
      iscrowd: 0,
    })),
  };
  const results: CocoResult[] = ids.map((id, i) => ({
    image_id: id,
    category_id: categoryId,
    score: 0.5,
    bbox: i % 2 === 0 ? box : far,
  }));
  return { groundTruth, results };
}

describe("ids", () => {
  it.each<[string, CocoId[], CocoId]>([
    ["numbers", [1, 2, 3, 4], 1],
    [
      "text",
      [
        "0000001_02999_d_0000005",
        "0000002_02999_d_0000005",
        "0000003_02999_d_0000005",
        "0000004_02999_d_0000005",
      ],
      "1",
    ],
    ["text that does not sort as numbers do", ["10", "100", "2", "20"], "a"],
    [
      "beyond 2^53",
      [7706992903151817197n, 7706992903151817198n, 7706992903151817199n, 7706992903151817200n],
      9007199254740993n,
    ],
    ["on both sides of 2^53", [-9007199254740993n, 5, 9007199254740991, 9007199254740992n], 3],
  ])("of every kind: %s", async (_, ids, categoryId) => {
    for (const [order, AP] of [
      [ids, FOUND_FIRST],
      [ids.toReversed(), MISSED_FIRST],
    ] as const) {
      const { groundTruth, results } = filesOf(order, categoryId);
      const { stats, perCategory } = evaluateCoco(groundTruth, results, { iouType: "bbox" });
      expect(stats.AP).toBeCloseTo(AP, 12);
      expect(perCategory[0]!.id === categoryId).toBe(true);
      // From files, which hold the digits.
      const file = (async function* () {
        yield new TextEncoder().encode(toJson(results));
      })();
      const streamed = await evaluateCocoStream(parseJson(toJson(groundTruth)) as CocoJson, file, {
        iouType: "bbox",
      });
      expect(streamed.stats.AP).toBeCloseTo(AP, 12);
      // In two parts, merged.
      const params = { iouType: "bbox", categories: [{ id: categoryId, name: "thing" }] } as const;
      const parts = [order.slice(2), order.slice(0, 2)].map((some) => {
        const evaluator = createCocoEvaluator(params);
        for (const id of some) {
          const detections = results
            .filter(({ image_id }) => image_id === id)
            .map(({ score, bbox }) => ({ categoryId, score, bbox: bbox! }));
          evaluator.add(id, detections, [{ categoryId, bbox: box, area: 400 }]);
        }
        return evaluator;
      });
      parts[0]!.merge(parts[1]!.partial());
      expect(parts[0]!.summarize().AP).toBeCloseTo(AP, 12);
      expect(() => parts[0]!.merge(parts[1]!.partial())).toThrow("was added before");
    }
  });

  it("are not each other's: the text 1 and the number 1, neighbours beyond 2^53", () => {
    const { groundTruth, results } = filesOf([1, 2], 1);
    expect(() => evaluateCoco(groundTruth, [{ ...results[0]!, image_id: "1" }], { iouType: "bbox" })).toThrow(
      'image_id must be the id of an image of the ground truth, got "1".',
    );
    expect(() =>
      evaluateCoco(groundTruth, [{ ...results[0]!, category_id: "1" }], { iouType: "bbox" }),
    ).toThrow('got "1".');
    const large = filesOf([7706992903151817197n], 1);
    expect(() =>
      evaluateCoco(large.groundTruth, [{ ...results[0]!, image_id: 7706992903151817198n }], {
        iouType: "bbox",
      }),
    ).toThrow("got 7706992903151817198.");
  });
});
