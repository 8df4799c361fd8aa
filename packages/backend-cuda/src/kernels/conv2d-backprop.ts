/** Kernels of a convolution's gradients, with dilations, explicit padding and groups. */
import {
  backend as currentBackend,
  Conv2DBackpropFilter,
  engine,
  pad,
  slice,
  tensor1d,
  tensor4d,
  tidy,
} from "@tensorflow/tfjs-core";
import type { KernelConfig, NamedAttrMap, Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { CONV2D_BACKPROP_FILTER, CONV2D_BACKPROP_INPUT } from "@mrcnn/nn/kernel";
import type { Conv2dBackpropFilterAttrs, Conv2dBackpropInputAttrs, Conv2dGradAttrs } from "@mrcnn/nn/kernel";
import { kernel, opAttrs } from "../tensorflow-backend.ts";
import type { TensorflowBackend } from "../tensorflow-backend.ts";

/*
 * Gradients of a convolution with the features that tfjs-node lacks: dilations and explicit padding; groups
 * follow from the filter's shape. On the CPU oneDNN does all but the padding: TensorFlow's ops with explicit
 * padding fall back on kernels without groups and dilations, up to 4 times as slow on a stem. There x is
 * padded first.
 */
type Sides = [number, number][];

const grownBy = (backend: TensorflowBackend, { pad: padding }: Conv2dGradAttrs): Sides | undefined =>
  typeof padding === "string" || backend.isUsingGpuDevice ?
    undefined
  : padding.map(([before, after]) => [before, after]);

function execute(
  backend: TensorflowBackend,
  name: string,
  inputs: readonly Tensor[],
  { strides, dilations, pad: padding }: Conv2dGradAttrs,
  grown: boolean,
): Tensor {
  const isExplicit = typeof padding !== "string" && !grown;
  const strings = {
    padding:
      isExplicit ? "EXPLICIT"
      : grown ? "VALID"
      : String(padding).toUpperCase(),
    data_format: "NHWC",
  };
  const ints = {
    strides: [1, ...strides, 1],
    dilations: [1, ...dilations, 1],
    ...(isExplicit && { explicit_paddings: padding.flat() }),
  };
  return backend.executeSingleOutput(name, opAttrs(backend, strings, ints), inputs);
}

function inputGradient(
  backend: TensorflowBackend,
  dy: Tensor,
  filter: Tensor,
  attrs: Conv2dBackpropInputAttrs,
): Tensor {
  const sides = grownBy(backend, attrs);
  const size = attrs.inputShape.map((length, i) => length + (sides?.[i]?.[0] ?? 0) + (sides?.[i]?.[1] ?? 0));
  const dx = execute(
    backend,
    "Conv2DBackpropInput",
    [tensor1d(size, "int32"), filter, dy],
    attrs,
    sides !== undefined,
  );
  return sides === undefined ? dx : (
      slice(
        dx,
        sides.map(([before]) => before),
        [...attrs.inputShape],
      )
    );
}

function filterGradient(
  backend: TensorflowBackend,
  x: Tensor,
  dy: Tensor,
  attrs: Conv2dBackpropFilterAttrs,
): Tensor {
  const sides = grownBy(backend, attrs);
  const seen = sides === undefined ? x : pad(x as Tensor4D, sides);
  const [height, width] = attrs.filterShape;
  // The other kernel avoids oneDNN's kernel for 1x1 filters.
  if (height * width === 1)
    return engine().runKernel(Conv2DBackpropFilter, { x: seen, dy }, {
      ...attrs,
      pad: "valid",
    } as unknown as NamedAttrMap) as Tensor;
  return execute(
    backend,
    "Conv2DBackpropFilter",
    [seen, tensor1d([...attrs.filterShape], "int32"), dy],
    attrs,
    sides !== undefined,
  );
}

const differentiates = new WeakMap<object, boolean>();

/**
 * Tells whether TensorFlow differentiates a convolution of two dilated groups: on a GPU, and on a CPU where
 * oneDNN is on. Tried once per backend, with a convolution whose gradients of ones are sums of ones.
 */
function canGroupAndDilate(backend: TensorflowBackend): boolean {
  const known = differentiates.get(backend);
  if (known !== undefined) return known;
  const attempt = (): boolean =>
    tidy(() => {
      const ones = (shape: [number, number, number, number]): Tensor4D =>
        tensor4d(new Float32Array(shape.reduce((a, b) => a * b)).fill(1), shape);
      const [x, filter] = [ones([1, 3, 3, 4]), ones([3, 3, 2, 4])];
      const attrs: Conv2dGradAttrs = {
        strides: [1, 1],
        pad: "same",
        dilations: [2, 2],
        groups: 2,
        dataFormat: "NHWC",
      };
      const dx = inputGradient(backend, x, filter, { ...attrs, inputShape: x.shape });
      const dw = filterGradient(backend, x, x, { ...attrs, filterShape: filter.shape });
      // Each axis has 3 taps two pixels apart; the outer ones meet the map once, the middle one everywhere:
      // (1 + 3 + 1)², in 8 pairs of channels.
      return [dx, dw].every((gradient) => gradient.dataSync<"float32">().reduce((a, b) => a + b) === 8 * 25);
    });
  let can = false;
  try {
    can = attempt();
  } catch {
    // TensorFlow throws for the feature it lacks; the composition needs neither.
  }
  differentiates.set(backend, can);
  return can;
}

const supports = ({ groups, dilations: [dilationY, dilationX] }: Conv2dGradAttrs): boolean =>
  groups * dilationY * dilationX === 1 || canGroupAndDilate(currentBackend() as unknown as TensorflowBackend);

export const conv2dBackpropInput: KernelConfig = kernel<"dy" | "filter", Conv2dBackpropInputAttrs>(
  CONV2D_BACKPROP_INPUT,
  ({ inputs: { dy, filter }, attrs, backend }) => tidy(() => inputGradient(backend, dy, filter, attrs)),
  supports,
);

export const conv2dBackpropFilter: KernelConfig = kernel<"x" | "dy", Conv2dBackpropFilterAttrs>(
  CONV2D_BACKPROP_FILTER,
  ({ inputs: { x, dy }, attrs, backend }) => tidy(() => filterGradient(backend, x, dy, attrs)),
  supports,
);
