import type { HostArray } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { fromDetectron2 } from "../src/detectron2.ts";
import { readDetectronPickle } from "../src/detectron-pickle.ts";
import { readTorchCheckpoint } from "../src/torch-checkpoint.ts";
import { readWeights } from "../src/read-weights.ts";
import { writeSafetensors } from "../src/safetensors.ts";
import { fromTorch } from "../src/torch-layout.ts";
import {
  bytesOf,
  counted,
  decode,
  inflate,
  kerasFixture,
  matterportFixture,
  modelWeights,
  numpyFixtures,
  pickled,
  torchFixtures,
} from "./fixtures.ts";

const sorted = (arrays: ReadonlyMap<string, HostArray>): [string, HostArray][] =>
  [...arrays].toSorted(([a], [b]) => (a < b ? -1 : 1));
const mask = modelWeights("torchvision", "mask");
const d2 = modelWeights("detectron2", "mask");
const ours = fromTorch(mask);

describe("readWeights", () => {
  it("tells torchvision's weights, whatever holds them", async () => {
    const read = await readWeights(writeSafetensors(mask), "w");
    expect(read).toMatchObject({
      format: "safetensors",
      source: "torchvision",
      norm: "frozen_batch_norm",
      metadata: {},
    });
    expect(sorted(read.arrays)).toEqual(sorted(ours));
    expect(await readWeights(pickled("model", mask), "w")).toMatchObject({
      format: "pickle",
      source: "torchvision",
      norm: "frozen_batch_norm",
    });
  });

  it("tells batch norm by the count of batches", async () => {
    const v2 = modelWeights("torchvision", "mask_v2");
    const read = await readWeights(writeSafetensors(v2, { from: "here" }), "w");
    expect(read).toMatchObject({ source: "torchvision", norm: "batch_norm", metadata: { from: "here" } });
    expect(sorted(read.arrays)).toEqual(sorted(fromTorch(v2)));
  });

  it("tells detectron2's weights, whatever holds them, and keeps what they were normalised with", async () => {
    d2.set("pixel_mean", { shape: [3, 1, 1], data: new Float32Array([103.5, 116.25, 123.5]) });
    for (const [format, bytes] of [
      ["pickle", pickled("model", d2)],
      ["safetensors", writeSafetensors(d2)],
    ] as const) {
      const read = await readWeights(bytes, "w");
      expect(read).toMatchObject({
        format,
        source: "detectron2",
        norm: "frozen_batch_norm",
        metadata: { pixel_mean: "[103.5,116.25,123.5]" },
      });
      expect(sorted(read.arrays)).toEqual(sorted(fromDetectron2(d2)));
    }
    expect(await readWeights(pickled("model", modelWeights("detectron2", "gn")), "w")).toMatchObject({
      source: "detectron2",
      norm: "group_norm",
    });
  });

  it("says when the weights are Detectron's", async () => {
    const blobs = new Map([
      ["conv1_w", counted(1, 3, 7, 7)],
      ["rpn_cls_logits_fpn2_w", counted(3, 1, 1, 1)],
      ["fpn_res2_2_sum_w", counted(1, 1, 3, 3)],
      ["cls_score_b", counted(3)],
      ["cls_score_w", counted(3, 1)],
      ["fpn_res2_2_sum_w_momentum", counted(1, 1, 3, 3)],
    ]);
    const read = await readWeights(pickled("blobs", blobs), "w");
    expect(read).toMatchObject({
      format: "pickle",
      source: "detectron2",
      metadata: { library: "detectron1" },
    });
    expect([...read.arrays.keys()].toSorted()).toEqual([
      "backbone.body.conv1.weight",
      "backbone.fpn.layer_blocks.0.0.weight",
      "roi_heads.box_predictor.cls_score.bias",
      "roi_heads.box_predictor.cls_score.weight",
      "rpn.head.cls_logits.weight",
    ]);
    // From first to last, and back.
    expect([...read.arrays.get("roi_heads.box_predictor.cls_score.bias")!.data]).toEqual([0, 1, 2]);
  });

  it("tells matterport's weights", async () => {
    const read = await readWeights(inflate(matterportFixture.file), "w");
    expect(read).toMatchObject({
      format: "hdf5",
      source: "matterport",
      norm: "frozen_batch_norm",
      metadata: {},
    });
    expect(read.arrays.size).toBe(Object.keys(matterportFixture.sums).length);
  });

  it("tells this project's own by their layout, or because they say so", async () => {
    for (const metadata of [{}, { format: "mrcnn", norm: "batch_norm" }]) {
      const read = await readWeights(writeSafetensors(ours, metadata), "w");
      expect(read).toMatchObject({ source: "mrcnn", norm: metadata.norm ?? "frozen_batch_norm", metadata });
      expect(sorted(read.arrays)).toEqual(sorted(ours));
    }
  });

  it("takes off the prefix of torch's DataParallel", async () => {
    const parallel = new Map([...mask].map(([name, array]) => [`module.${name}`, array]));
    expect(sorted((await readWeights(writeSafetensors(parallel), "w")).arrays)).toEqual(sorted(ours));
  });

  it("gives arrays of their own memory", async () => {
    const bytes = writeSafetensors(mask);
    const { arrays } = await readWeights(bytes, "w");
    for (const [name, { data }] of arrays) expect(data.buffer === bytes.buffer, name).toBe(false);
  });

  it("takes Node's Buffers, which are views, as it takes arrays", async () => {
    const files = [torchFixtures[1]!.files["model"]!, numpyFixtures[1]!.files["2"]!].map(decode);
    const whole = [writeSafetensors(mask), pickled("model", d2), inflate(matterportFixture.file)];
    for (const bytes of whole)
      expect(await readWeights(Buffer.from(bytes), "w")).toEqual(await readWeights(bytes, "w"));
    expect(readTorchCheckpoint(Buffer.from(files[0]!), "w")).toEqual(readTorchCheckpoint(files[0]!, "w"));
    expect(readDetectronPickle(Buffer.from(files[1]!), "w")).toEqual(readDetectronPickle(files[1]!, "w"));
  });

  it("refuses norms of two kinds", async () => {
    const mixed = new Map([...mask].filter(([name]) => !/layer2.*running/.test(name)));
    await expect(readWeights(writeSafetensors(mixed), "w")).rejects.toThrow(
      "w: all norms must be of one kind, got batch norm (backbone.body.bn1.weight) and group norm (backbone.body.layer2.0.bn1.weight), or statistics are missing.",
    );
  });

  const accepted =
    "w: a file of weights must be safetensors, a checkpoint of torch (.pth), a pickle of detectron2 (.pkl) or an HDF5 file of Keras (.h5), got";
  const detectors =
    "w: the weights must be those of a Mask, Faster or Keypoint R-CNN of torchvision, detectron2, matterport or this project, got";
  const tensors = (...names: string[]): Uint8Array =>
    writeSafetensors(new Map(names.map((name) => [name, counted(1)])));
  const refused: [string, Uint8Array, string][] = [
    ["an empty file", new Uint8Array(0), `${accepted} an empty file.`],
    [
      "a file of zeros",
      new Uint8Array(100),
      `${accepted} a file of zeros: a download that was not finished.`,
    ],
    [
      "an HTML page",
      bytesOf("\n<!DOCTYPE html><html><body>Not found</body></html>"),
      `${accepted} an HTML page: the download gave a page, not the file.`,
    ],
    [
      "an XML error",
      bytesOf("<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"),
      `${accepted} an XML document: perhaps a server's error message.`,
    ],
    [
      "a Git LFS pointer",
      bytesOf("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
      `${accepted} a Git LFS pointer: fetch the file itself with \`git lfs pull\`.`,
    ],
    ["JSON", bytesOf('{"modelTopology": {"node": []}}'), `${accepted} a JSON document.`],
    [
      "a text",
      bytesOf("These are not the weights you are looking for."),
      `${accepted} a text: "These are not the weights you are lookin".`,
    ],
    ["gzip", bytesOf([0x1f, 0x8b], new Uint8Array(100)), `${accepted} a gzip archive; unpack it first.`],
    ["an image", bytesOf([0x89, 0x50, 0x4e, 0x47], new Uint8Array(100)), `${accepted} a PNG image.`],
    ["a few bytes", bytesOf("\x01\x02\x03"), `${accepted} a file of 3 bytes.`],
    ["anything else", Uint8Array.from({ length: 100 }, (_, i) => 200 - i), `${accepted} something unknown.`],
    [
      "a cut archive",
      decode(torchFixtures[1]!.files["zip"]!).subarray(0, 3000),
      "w: byte 3000: a zip archive should end with its directory, but has none. The archive is cut or corrupt.",
    ],
    [
      "an ImageNet classifier of torchvision",
      tensors("conv1.weight", "layer4.0.conv1.weight", "fc.weight"),
      `${detectors} an ImageNet classifier: a backbone alone.`,
    ],
    [
      "one of detectron2",
      tensors("stem.conv1.weight", "res5.0.conv1.weight"),
      `${detectors} an ImageNet classifier for detectron2: a backbone alone.`,
    ],
    [
      "one of Detectron",
      pickled(
        "blobs",
        new Map([
          ["conv1_w", counted(1)],
          ["res2_0_branch1_w", counted(1)],
          ["pred_w", counted(1)],
        ]),
      ),
      `${detectors} an ImageNet classifier for detectron2: a backbone alone.`,
    ],
    [
      "a model of mmdetection",
      tensors("backbone.conv1.weight", "neck.fpn_convs.0.conv.weight", "rpn_head.rpn_cls.weight"),
      `${detectors} a model of mmdetection.`,
    ],
    ["a file without weights", tensors(), `${detectors} a file without weights.`],
    [
      "another model",
      decode(torchFixtures[1]!.files["model"]!),
      `${detectors} a model of another kind, with the names 0.weight, 0.bias, 1.weight, 1.bias and 3 more.`,
    ],
    [
      "another pickle",
      decode(numpyFixtures[1]!.files["0"]!),
      `${detectors} a model of another kind, with the names f64, f32, f16, i64 and 13 more.`,
    ],
    [
      "another Keras model",
      inflate(kerasFixture.files["dtypes"]!),
      `${detectors} a model of another kind, with the names`,
    ],
    [
      "a cut detectron2 model",
      writeSafetensors(new Map([...d2].filter(([name]) => !name.includes("cls_score")))),
      "w: roi_heads.box_predictor.cls_score is missing. The weights are not those of a whole detector.",
    ],
  ];
  it.each(refused)("refuses %s and says what it looks like", async (_, bytes, message) => {
    await expect(readWeights(bytes, "w")).rejects.toThrow(message);
    await expect(readWeights(bytes, "w")).rejects.toThrow(expect.objectContaining({ code: "weights" }));
  });
});
