/** Kernel of padding. */
import type { KernelConfig } from "@tensorflow/tfjs-core";
import { allocate, builtin, call, kernel } from "../heap.ts";
import type { Inputs } from "../heap.ts";
import { address, inParts } from "../simd.ts";

const original = builtin("PadV2");

interface Attrs {
  readonly paddings: readonly (readonly [number, number])[];
  readonly constantValue: number;
}

/** Pads feature maps with zeros, row by row; any other padding is left to TensorFlow.js. */
export const pad: KernelConfig = kernel<Inputs<"x">, Attrs>(
  "PadV2",
  ({ inputs: { x }, attrs, backend }) => {
    const { paddings, constantValue } = attrs;
    const isMap =
      x.shape.length === 4 &&
      x.dtype === "float32" &&
      paddings[0]![0] + paddings[0]![1] + paddings[3]![0] + paddings[3]![1] === 0;
    if (!isMap || constantValue !== 0) return call(original, backend, { x }, attrs);
    const [batch, height, width, channels] = x.shape as [number, number, number, number];
    const [, [top, bottom], [left, right]] = paddings as [unknown, [number, number], [number, number]];
    const [outHeight, outWidth] = [height + top + bottom, width + left + right];
    const out = allocate(backend, [batch, outHeight, outWidth, channels]);
    const pointers = [x, out].map((info) => address(backend, info));
    inParts(
      backend,
      "padRows",
      { total: batch * outHeight, least: Math.ceil(200_000 / (outWidth * channels)) },
      (first, last) => [...pointers, height, width, channels, top, left, outHeight, outWidth, first, last],
    );
    return out;
  },
  original,
);
