// Models of the catalog's networks with few channels, whose files take kilobytes.
import { createRandom } from "@mrcnn/core";
import type { RawImage } from "@mrcnn/core";
import { createMaskRcnn, maskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnn, MaskRcnnOptions } from "@mrcnn/model";
import { toArrays, writeSafetensors } from "@mrcnn/weights";

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `c${i}`);

/** A narrow network that tells `classes` classes apart. */
export function narrowModel(classes: number, options: Omit<MaskRcnnOptions, "classes"> = {}): MaskRcnn {
  const { backbone, ...rest } = options;
  return createMaskRcnn(
    maskRcnnConfig({
      classes: names(classes),
      backbone: { width: 8, ...backbone },
      fpn: { channels: 8 },
      box: { representation: 16 },
      maskHead: { layers: [8, 8], channels: 8 },
      keypointHead: { layers: [8] },
      ...rest,
    }),
    createRandom(1),
  );
}

/** A file of this project's, as `mrcnn convert` writes it. */
export async function narrowFile(
  model: MaskRcnn,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  return writeSafetensors(await toArrays(model.variables), {
    format: "mrcnn",
    numerics: "torchvision",
    norm: "frozen_batch_norm",
    ...metadata,
  });
}

/** An image of noise. */
export function noise(width: number, height: number): RawImage {
  const random = createRandom(2);
  return { width, height, data: Uint8Array.from({ length: 3 * width * height }, () => random.int(256)) };
}
