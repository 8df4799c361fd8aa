/** Selection of proposals on the device. */
import { tensor2d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import { gatherBoxesOnHost } from "@mrcnn/boxes";
import { assertLength, assertShape } from "@mrcnn/core";
import { hasKernel, runKernel } from "@mrcnn/core/tensors";
import type { ImageSize, Rois } from "@mrcnn/core";
import type { RoisOnDevice, RpnOutput } from "@mrcnn/core/tensors";
import { proposalsPerImage, selectProposalsContract } from "./kernel.ts";
import type { SelectProposalsAttrs } from "./kernel.ts";
import type { ProposalConfig } from "./select-proposals.ts";

/**
 * Selects proposals as `selectProposals` does, but on the device, so that the host needn't wait. Returns
 * undefined where the backend has no kernel for `config`. The caller owns the boxes. Among proposals of equal
 * score those of finer levels, and then of lower anchors, come first.
 *
 * @throws ShapeError when outputs, anchors and sizes disagree.
 */
export function selectProposalsOnDevice(
  output: RpnOutput,
  anchors: Float32Array,
  imageSizes: readonly ImageSize[],
  config: ProposalConfig,
): RoisOnDevice | undefined {
  const { objectness, deltas, levelCounts } = output;
  const attrs: SelectProposalsAttrs = { ...config, levelCounts };
  if (!hasKernel(selectProposalsContract, attrs)) return undefined;
  const count = levelCounts.reduce((sum, n) => sum + n, 0);
  assertShape(objectness, [imageSizes.length, count], "selectProposalsOnDevice", "output.objectness");
  assertShape(deltas, [imageSizes.length, count, 4], "selectProposalsOnDevice", "output.deltas");
  assertLength(anchors, 4 * count, "selectProposalsOnDevice", "anchors");
  const boxes = tidy(() => {
    const inputs = {
      objectness,
      deltas,
      anchors: tensor2d(anchors, [count, 4]),
      sizes: sizesTensor(imageSizes),
    };
    return runKernel<Tensor2D, SelectProposalsAttrs>(selectProposalsContract, inputs, attrs)!;
  });
  const perImage = proposalsPerImage(attrs);
  return {
    boxes,
    imageIndex: Int32Array.from({ length: imageSizes.length * perImage }, (_, row) =>
      Math.trunc(row / perImage),
    ),
  };
}

const sizesTensor = (sizes: readonly ImageSize[]): Tensor2D =>
  tensor2d(sizes.map(({ height, width }) => [height, width]));

/** Reads RoIs from the device once, leaving out rows that hold none. */
export async function readRois({ boxes, imageIndex }: RoisOnDevice): Promise<Rois> {
  const values = (await boxes.data()) as Float32Array;
  const rows = Int32Array.from(imageIndex.keys()).filter((row) => values[4 * row]! >= 0);
  return { boxes: gatherBoxesOnHost(values, rows), imageIndex: rows.map((row) => imageIndex[row]!) };
}
