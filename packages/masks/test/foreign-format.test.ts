import { describe, expect, it } from "vitest";
import { foreignAnnotations, foreignResults } from "../src/index.ts";

const region = {
  shape_attributes: { name: "polygon", all_points_x: [1], all_points_y: [2] },
  region_attributes: {},
};
const result = { image_id: 1, category_id: 1, bbox: [0, 0, 1, 1], score: 0.5 };

describe("foreignAnnotations", () => {
  it.each<[string, unknown, RegExp]>([
    [
      "VIA's annotations",
      { "a.jpg123": { filename: "a.jpg", size: 123, regions: [region] } },
      /VIA .*Export Annotations \(COCO format\)/,
    ],
    [
      "a VIA project",
      { _via_settings: {}, _via_img_metadata: { "a.jpg1": { filename: "a.jpg" } } },
      /project of VIA/,
    ],
    [
      "LabelMe",
      { version: "5.0", shapes: [{ label: "a", points: [[1, 2]] }], imagePath: "a.jpg", imageHeight: 5 },
      /LabelMe, of one image/,
    ],
    [
      "Label Studio",
      [{ id: 1, data: { image: "a.jpg" }, annotations: [{ result: [] }] }],
      /Label Studio.*COCO/,
    ],
    ["GeoJSON", { type: "FeatureCollection", features: [] }, /GeoJSON/],
    ["CreateML", [{ image: "a.jpg", annotations: [{ label: "a", coordinates: {} }] }], /CreateML/],
    ["BDD100K", [{ name: "a.jpg", labels: [] }], /BDD100K/],
    ["Cityscapes", { imgHeight: 1, imgWidth: 1, objects: [] }, /Cityscapes/],
    ["Supervisely", { description: "", size: { height: 1, width: 1 }, objects: [] }, /Supervisely/],
    ["Datumaro", { info: {}, categories: { label: {} }, items: [] }, /Datumaro/],
    ["results", [result], /list of COCO results .* --results/],
    ["COCO's captions", { images: [], annotations: [{ id: 1, image_id: 1, caption: "a dog" }] }, /captions/],
    [
      "COCO's panoptic annotations",
      { images: [], categories: [], annotations: [{ image_id: 1, file_name: "a.png", segments_info: [] }] },
      /panoptic/,
    ],
    ["a training config", { data: { train: {} }, training: { steps: 1 } }, /training config/],
  ])("names %s", (_, value, message) => expect(foreignAnnotations(value)).toMatch(message));
  it.each([
    [{ images: [], annotations: [], categories: [] }],
    [{ images: [], annotations: [{ id: 1, image_id: 1, category_id: 1, bbox: [0, 0, 1, 1] }] }],
    [{ images: [{ size: 1, objects: [] }], annotations: "none" }],
    [{}],
    [[]],
    [null],
    [1],
    ["FeatureCollection"],
    [[null]],
    [{ a: null }],
    [{ type: "instances", images: [] }],
  ])("takes %j for nothing else", (value) => expect(foreignAnnotations(value)).toBeUndefined());
});

describe("foreignResults", () => {
  it.each<[string, unknown, RegExp]>([
    [
      "annotations",
      { images: [], annotations: [], categories: [] },
      /an annotation file\. Give it with --annotations/,
    ],
    ["the figures of an evaluation", { bbox: { stats: { AP: 0.5 } } }, /figures of an evaluation/],
    ["GeoJSON", { type: "FeatureCollection", features: [] }, /GeoJSON/],
  ])("names %s", (_, value, message) => expect(foreignResults(value)).toMatch(message));
  it("knows no more", () => expect(foreignResults({ detections: [] })).toBeUndefined());
});
