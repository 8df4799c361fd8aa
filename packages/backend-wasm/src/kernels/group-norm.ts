/** Kernel of group normalization. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { GROUP_NORM, GROUP_NORM_GRAD } from "@mrcnn/nn/kernel";
import type { GroupNormAttrs, GroupNormGradAttrs } from "@mrcnn/nn/kernel";
import { allocate, floats, kernel, release, sizeOf } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { address, inParts, instanceOf, partsOf } from "../simd.ts";

type Shape4D = readonly [number, number, number, number];

/** Returns the number of images that makes a thread's share worth its start. */
const images = ({ shape }: TensorInfo): number =>
  Math.max(1, Math.ceil((200_000 * shape[0]!) / sizeOf(shape)));

/** Computes group normalization and its moments, by assembly/group-norm.ts. */
export const groupNorm: KernelConfig = kernel<Inputs<"x" | "weight" | "bias">, GroupNormAttrs>(
  GROUP_NORM,
  ({ inputs: { x, weight, bias }, attrs: { groups, eps }, backend }) => {
    const [batch, height, width, channels] = x.shape as unknown as Shape4D;
    const y = allocate(backend, x.shape);
    const mean = allocate(backend, [batch, groups]);
    const rstd = allocate(backend, [batch, groups]);
    const scratch = allocate(backend, [channels * 6 * partsOf(backend)]);
    const pointers = [x, weight, bias, y, mean, rstd].map((info) => address(backend, info));
    inParts(backend, "groupNormForward", { total: batch, least: images(x) }, (first, last, part) => [
      ...pointers,
      address(backend, scratch) + part * channels * 24,
      height * width,
      channels,
      groups,
      eps,
      first,
      last,
    ]);
    release(backend, scratch);
    return [y, mean, rstd];
  },
);

export const groupNormGrad: KernelConfig = kernel<
  Inputs<"dy" | "x" | "weight" | "mean" | "rstd">,
  GroupNormGradAttrs
>(GROUP_NORM_GRAD, ({ inputs: { dy, x, weight, mean, rstd }, attrs: { groups }, backend }) => {
  const [batch, height, width, channels] = x.shape as unknown as Shape4D;
  const dx = allocate(backend, x.shape);
  const dweight = allocate(backend, weight.shape);
  const dbias = allocate(backend, weight.shape);
  const totals = allocate(backend, [channels * 4]);
  const scratch = allocate(backend, [channels * 7]);
  const pointers = [dy, x, weight, mean, rstd, dx, totals, scratch].map((info) => address(backend, info));
  instanceOf(backend).simd.groupNormBackward(...pointers, height * width, channels, groups, 0, batch);
  const sums = floats(backend, totals);
  const doubles = new Float64Array(sums.buffer, sums.byteOffset, channels * 2);
  floats(backend, dweight).set(doubles.subarray(0, channels));
  floats(backend, dbias).set(doubles.subarray(channels));
  release(backend, totals, scratch);
  return [dx, dweight, dbias];
});
