// Seeded models and pictures for the tests.
import { createRandom } from "@mrcnn/core";
import type { RawImage } from "@mrcnn/core";
import { createMaskRcnn, maskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnnOptions } from "@mrcnn/model";
import { toArrays, toTorch, writeSafetensors } from "@mrcnn/weights";
import { deflateSync, gzipSync } from "node:zlib";

/** torchvision's Mask R-CNN of few channels with seeded weights, as its state_dict would be saved. */
export async function torchvisionFile(options: Partial<MaskRcnnOptions> = {}): Promise<Uint8Array> {
  const classes = Array.from({ length: 90 }, (_, i) => `c${i}`);
  const config = maskRcnnConfig({
    classes,
    backbone: { width: 8, eps: 0 },
    fpn: { channels: 8 },
    box: { representation: 16 },
    maskHead: { layers: [8, 8], channels: 8 },
    keypointHead: { layers: [8] },
    ...options,
  });
  const model = createMaskRcnn(config, createRandom(1));
  const arrays = await toArrays(model.variables);
  model.dispose();
  return writeSafetensors(toTorch(arrays));
}

/** The same as `mrcnn convert` writes it, with what its classes and keypoints are called. */
export async function namedFile(options: MaskRcnnOptions): Promise<Uint8Array> {
  const config = maskRcnnConfig({
    backbone: { width: 8, eps: 0 },
    fpn: { channels: 8 },
    box: { representation: 16 },
    maskHead: { layers: [8, 8], channels: 8 },
    keypointHead: { layers: [8] },
    ...options,
  });
  const model = createMaskRcnn(config, createRandom(1));
  const arrays = await toArrays(model.variables);
  model.dispose();
  return writeSafetensors(arrays, {
    format: "mrcnn",
    norm: config.backbone.norm,
    config: JSON.stringify(config),
  });
}

/** What `mrcnn train` leaves of a tiny network: its config, and a checkpoint's weights. */
export async function runFiles(
  more: Partial<MaskRcnnOptions> = {},
): Promise<{ config: string; weights: Uint8Array }> {
  const config = maskRcnnConfig({
    classes: ["left", "right"],
    image: { minSize: 64, maxSize: 128 },
    backbone: { depth: 18, width: 8, norm: "group_norm", groups: 4 },
    fpn: { channels: 8 },
    anchors: { sizes: [[8], [16], [32], [64], [128]] },
    box: { representation: 16 },
    maskHead: { layers: [8], channels: 8 },
    ...more,
  });
  const model = createMaskRcnn(config, createRandom(3));
  const weights = writeSafetensors(await toArrays(model.variables), { format: "mrcnn" });
  model.dispose();
  const categories = [
    { id: 7, name: "left" },
    { id: 9, name: "right" },
  ];
  return {
    config: JSON.stringify({
      model: config,
      data: { train: {}, categories },
      evaluation: { maxDetections: 20, scoreThreshold: 0.001 },
    }),
    weights,
  };
}

/** A safetensors file with other metadata. */
export function withMetadata(file: Uint8Array, metadata: Record<string, string>): Uint8Array {
  const view = Buffer.from(file);
  const length = Number(view.readBigUInt64LE());
  const header = JSON.parse(view.subarray(8, 8 + length).toString("utf8")) as Record<string, unknown>;
  const text = JSON.stringify({ ...header, __metadata__: metadata });
  const next = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(next.length));
  return Buffer.concat([start, next, view.subarray(8 + length)]);
}

/** A picture of noise and a few plain rectangles. */
export function pictureOf(width: number, height: number, seed = 2): RawImage {
  const random = createRandom(seed);
  const data = Uint8Array.from({ length: 3 * width * height }, () => random.int(80));
  for (let n = 0; n < 4; n++) {
    const [left, top] = [random.int(width - 20), random.int(height - 20)];
    const color = [random.int(256), random.int(256), random.int(256)];
    for (let y = top; y < Math.min(height, top + 30); y++)
      for (let x = left; x < Math.min(width, left + 26); x++) data.set(color, 3 * (y * width + x));
  }
  return { width, height, data };
}

// gzip's checksum is PNG's, and stands eight bytes before the end.
const crc32 = (bytes: Uint8Array): number => gzipSync(bytes).subarray(-8).readUInt32LE();
function chunk(type: string, data: Uint8Array): Buffer {
  const whole = Buffer.alloc(data.length + 12);
  whole.writeUInt32BE(data.length);
  whole.write(type, 4, "latin1");
  whole.set(data, 8);
  whole.writeUInt32BE(crc32(whole.subarray(4, data.length + 8)), data.length + 8);
  return whole;
}

/** A picture as a PNG file. */
export function pngFile({ width, height, data }: RawImage): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const rows = Array.from({ length: height }, (_, y) =>
    Buffer.concat([Buffer.of(0), Uint8Array.from(data.subarray(3 * y * width, 3 * (y + 1) * width))]),
  );
  return Buffer.concat([
    Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(Buffer.concat(rows))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
