import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { catalog, catalogEntry } from "../src/catalog.ts";
import { catalogTable } from "./catalog-table.ts";

describe("the catalog", () => {
  it("has every name once, and a file for each", () => {
    expect(new Set(catalog.map(({ name }) => name)).size).toBe(catalog.length);
    expect(new Set(catalog.map(({ url }) => url)).size).toBe(catalog.length);
    for (const { url, checksum, source } of catalog) {
      if (source === "mrcnn") continue; // comes along
      expect(new URL(url).protocol).toBe("https:");
      // Both sources put the hash at the end of the name.
      if (checksum !== undefined) expect(url).toMatch(new RegExp(`[-_]${checksum.prefix}\\.(pth|pkl)$`));
    }
  });

  it("says what the sources say (read in their files by hand)", () => {
    expect(catalogEntry("maskrcnn_resnet50_fpn_v2")).toMatchObject({
      url: "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
      parameters: 46359409,
      metrics: { dataset: "COCO val2017", boxAP: 47.4, maskAP: 41.8 },
      network: { architecture: "fpn", depth: 50, rpnConvs: 2, mask: true },
    });
    expect(catalogEntry("COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x")).toMatchObject({
      url: "https://dl.fbaipublicfiles.com/detectron2/COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x/139653917/model_final_2d9806.pkl",
      licence: "CC BY-SA 3.0",
      metrics: { boxAP: 44.3, maskAP: 39.5 },
      network: { architecture: "fpn", depth: 101, cardinality: 32, mask: true },
    });
    expect(catalogEntry("COCO-Detection/faster_rcnn_R_101_C4_3x")).toMatchObject({
      metrics: { boxAP: 41.1 },
      network: { architecture: "c4", depth: 101, cardinality: 1, mask: false },
    });
    expect(catalogEntry("COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_1x").network.architecture).toBe("dc5");
    expect(catalogEntry("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x")).toMatchObject({
      metrics: { boxAP: 53.6, keypointAP: 64 },
      categories: [{ id: 1, name: "person" }],
    });
  });

  it("numbers classes as COCO does", () => {
    const torchvision = catalogEntry("fasterrcnn_resnet50_fpn").categories;
    expect(torchvision).toHaveLength(90);
    torchvision.forEach(({ id }, i) => expect(id).toBe(i + 1));
    // Ids of COCO's annotation files; torchvision's meta has "N/A" at 12, 26, 29, 30, 45, 66, 68, 69, 71 and 83.
    expect(torchvision.filter(({ name }) => name === "N/A").map(({ id }) => id)).toEqual([
      12, 26, 29, 30, 45, 66, 68, 69, 71, 83,
    ]);
    const detectron2 = catalogEntry("COCO-Detection/faster_rcnn_R_50_FPN_1x").categories;
    expect(detectron2).toHaveLength(80);
    const known: [number, number, string][] = [
      [1, 1, "person"],
      [12, 13, "stop sign"],
      [25, 27, "backpack"],
      [61, 67, "dining table"],
      [73, 82, "refrigerator"],
      [80, 90, "toothbrush"],
    ];
    for (const [label, id, name] of known) {
      expect(detectron2[label - 1]).toEqual({ id, name });
      expect(torchvision[id - 1]).toEqual({ id, name });
    }
    expect(catalogEntry("matterport/mask_rcnn_coco").categories).toEqual(detectron2);
  });

  it("joins keypoints that exist", () => {
    const { names, skeleton } = catalogEntry("keypointrcnn_resnet50_fpn").keypoints!;
    expect(names).toHaveLength(17);
    expect(skeleton).toHaveLength(19);
    expect(skeleton.map(([a, b]) => `${names[a]}-${names[b]}`)).toContain("left_ankle-left_knee");
    expect(skeleton.flat().every((k) => k in names)).toBe(true);
  });

  it.each([
    ["maskrcnn_resnet50_fpn_v3", 'Did you mean "maskrcnn_resnet50_fpn_v2"?'],
    ["mask_rcnn_R_50_FPN_3x", 'Did you mean "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"?'],
    ["yolo", "It has nuclei, maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2 and 28 more."],
  ])("does not know %s", (name, hint) =>
    expect(() => catalogEntry(name)).toThrow(`${name} is not in the catalog. ${hint}`),
  );

  it("is what the README says", () => {
    const readme = readFileSync(join(import.meta.dirname, "..", "README.md"), "utf8");
    expect(readme).toContain(catalogTable());
  });
});
