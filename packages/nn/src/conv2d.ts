/** 2-D convolution with fused bias, addend and ReLU, as torch.nn.Conv2d, and its gradients. */
import {
  concat,
  Conv2DBackpropFilter,
  Conv2DBackpropInput,
  engine,
  FusedConv2D,
  pad,
  reshape,
  slice,
  tidy,
} from "@tensorflow/tfjs-core";
import type {
  NamedAttrMap,
  NamedTensorMap,
  Tensor,
  Tensor1D,
  Tensor3D,
  Tensor4D,
} from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import { hasKernel, runKernelOr } from "@mrcnn/core/tensors";
import { columnSums } from "./column-sums.ts";
import { finish } from "./finish.ts";
import { conv2dAddContract, conv2dBackpropFilterContract, conv2dBackpropInputContract } from "./kernel.ts";
import type { Conv2dBackpropFilterAttrs, Conv2dBackpropInputAttrs, Conv2dGradAttrs } from "./kernel.ts";
import type { Conv2dParams } from "./params.ts";
import { reluGradient } from "./relu.ts";
import { withGradient } from "./with-gradient.ts";

/** Options of a convolution; both axes are treated alike. */
export interface Conv2dOptions {
  /** Step between outputs, in pixels. Default 1. */
  readonly stride?: number;
  /** Zeros added on each of the four sides, as in torch. Default 0. */
  readonly padding?: number;
  /** Spacing of the filter's taps, in pixels. Default 1. */
  readonly dilation?: number;
  /**
   * Number of groups of channels that are convolved separately; the weight is [h, w, in / groups, out].
   * Default 1.
   */
  readonly groups?: number;
  /** Tensor of the output's shape, added before the activation. */
  readonly addend?: Tensor4D | undefined;
  readonly activation?: "relu" | undefined;
}

/**
 * Computes the 2-D cross-correlation of `x` [B, H, W, in] with `weight` [h, w, in / groups, out], plus `bias`
 * and `addend`, then the activation, as torch.nn.Conv2d. The output is [B, H', W', out] with
 * H' = floor((H + 2 padding - dilation (h - 1) - 1) / stride) + 1.
 *
 * @throws ShapeError when the channels don't match, or the groups don't divide them.
 */
export function conv2d(params: Conv2dParams, x: Tensor4D, options: Conv2dOptions = {}): Tensor4D {
  return convolve(x, params.weight, params.bias, options);
}

/**
 * Computes `conv2d` from tensors instead of parameters: the filter may itself be computed (a folded norm).
 */
export function convolve(
  x: Tensor4D,
  weight: Tensor4D,
  bias: Tensor1D | undefined,
  { stride = 1, padding = 0, dilation = 1, groups = 1, addend, activation }: Conv2dOptions = {},
): Tensor4D {
  if (x.shape.length !== 4 || x.shape[3] !== weight.shape[2] * groups) {
    throw new ShapeError(
      `conv2d: x must have shape [*, *, *, ${weight.shape[2] * groups}], got [${x.shape.join(", ")}].`,
    );
  }
  if (weight.shape[3] % groups !== 0) {
    throw new ShapeError(
      `conv2d: weight must have outputs that ${groups} groups divide, got ${weight.shape[3]}.`,
    );
  }
  return tidy(() => {
    const shape = { stride, padding, dilation, groups };
    const isNative =
      groups * dilation === 1 || hasKernel(conv2dBackpropInputContract, attributes(weight, shape));
    if (groups > 1 && !isNative) {
      if (addend === undefined)
        return grouped(x, weight, bias, groups, { stride, padding, dilation, activation });
      return finish(grouped(x, weight, bias, groups, { stride, padding, dilation }), addend, activation);
    }
    // TensorFlow.js has no gradient of a dilated convolution: under a gradient tape the filter is dilated
    // with zeros instead.
    if (dilation > 1 && !isNative && engine().state.gradientDepth > 0) {
      return fused(x, dilate(weight, dilation), bias, { ...shape, dilation: 1, addend, activation });
    }
    return fused(x, weight, bias, { ...shape, addend, activation });
  });
}

type Shape = Required<Omit<Conv2dOptions, "addend" | "activation">>;

// The attributes in the form that TensorFlow.js's kernels take.
function attributes(filter: Tensor4D, { stride, padding, dilation, groups }: Shape): Conv2dGradAttrs {
  const [height, width] = filter.shape;
  const isSame =
    stride === 1 && 2 * padding === dilation * (height - 1) && 2 * padding === dilation * (width - 1);
  const sides = [padding, padding] as const;
  const pad =
    isSame ? "same"
    : padding === 0 ? "valid"
    : ([[0, 0], sides, sides, [0, 0]] as const);
  return { strides: [stride, stride], pad, dilations: [dilation, dilation], groups, dataFormat: "NHWC" };
}

// Groups are joined up to this many input channels: a convolution of fewer isn't worth its call.
const BLOCK_CHANNELS = 32;

// Neighbouring groups of few channels share one ordinary convolution, whose filter is zero between the
// groups.
function grouped(
  x: Tensor4D,
  weight: Tensor4D,
  bias: Tensor1D | undefined,
  groups: number,
  options: Conv2dOptions,
): Tensor4D {
  const [batch, height, width] = x.shape;
  const [filterHeight, filterWidth, inputs, out] = weight.shape;
  const outputs = out / groups;
  let together = 1;
  for (let n = 2; n <= groups && n * inputs <= BLOCK_CHANNELS; n++) if (groups % n === 0) together = n;

  const block = (first: number): Tensor4D => {
    const filters = Array.from({ length: together }, (_, j) => {
      const own = slice(
        weight,
        [0, 0, 0, (first + j) * outputs],
        [filterHeight, filterWidth, inputs, outputs],
      );
      return together === 1 ? own : (
          pad(own, [
            [0, 0],
            [0, 0],
            [j * inputs, (together - 1 - j) * inputs],
            [0, 0],
          ])
        );
    });
    const channels = slice(x, [0, 0, 0, first * inputs], [batch, height, width, together * inputs]);
    return convolve(
      channels,
      concat(filters, 3),
      bias && slice(bias, first * outputs, together * outputs),
      options,
    );
  };
  return concat(
    Array.from({ length: groups / together }, (_, i) => block(i * together)),
    3,
  );
}

interface FusedOptions extends Shape, Pick<Conv2dOptions, "addend" | "activation"> {}

function fused(x: Tensor4D, filter: Tensor4D, bias: Tensor1D | undefined, options: FusedOptions): Tensor4D {
  const { padding, addend, activation } = options;
  const attrs = attributes(filter, options);
  const own = bias === undefined ? { x, filter } : { x, bias, filter };
  const convolved = (activation: "relu" | undefined): Tensor4D =>
    run(FusedConv2D, own, { ...attrs, activation: activation ?? "linear" });
  const added = (addend: Tensor4D): Tensor4D => {
    const compose = (): Tensor4D => finish(convolved(undefined), addend, activation);
    if (bias === undefined) return compose();
    return runKernelOr(
      conv2dAddContract,
      { x, filter, bias, addend },
      { ...attrs, activation: activation ?? "linear" },
      compose,
    );
  };
  // The tape computes the gradients in this order.
  const inputs =
    addend === undefined ? own
    : bias === undefined ? { x, addend, filter }
    : { x, addend, bias, filter };
  return withGradient<Tensor4D>(
    inputs,
    (save) => {
      const y = addend === undefined ? convolved(activation) : added(addend);
      save(activation === undefined ? [x, filter] : [x, filter, y]);
      return y;
    },
    (dy, [x, filter, y]) => {
      const g = y === undefined ? dy : reluGradient(dy, y);
      return {
        x: () =>
          inputGradient(g, filter as Tensor4D, { ...attrs, inputShape: (x as Tensor4D).shape }, padding),
        // A tensor of its own, since g is disposed once the filter's gradient is computed.
        addend: () => reshape(g, g.shape),
        bias: () => columnSums(g),
        // Computed last, so the g that the others share can be disposed here.
        filter: () => {
          const dw = filterGradient(
            x as Tensor4D,
            g,
            { ...attrs, filterShape: (filter as Tensor4D).shape },
            padding,
          );
          if (g !== dy) g.dispose();
          return dw;
        },
      };
    },
  );
}

const run = (name: string, inputs: Record<string, Tensor>, attrs: object): Tensor4D =>
  engine().runKernel(name, inputs as NamedTensorMap, attrs as NamedAttrMap) as Tensor4D;

// TensorFlow.js's own gradient kernels refuse explicit padding, so they are run on a padded x.
const isExplicit = ({ pad }: Conv2dGradAttrs): boolean => typeof pad !== "string";

function inputGradient(
  dy: Tensor4D,
  filter: Tensor4D,
  attrs: Conv2dBackpropInputAttrs,
  padding: number,
): Tensor4D {
  return runKernelOr(conv2dBackpropInputContract, { dy, filter }, attrs, () => {
    if (!isExplicit(attrs)) return run(Conv2DBackpropInput, { dy, filter }, attrs);
    const [batch, height, width, channels] = attrs.inputShape;
    const inputShape = [batch, height + 2 * padding, width + 2 * padding, channels];
    const dx = run(Conv2DBackpropInput, { dy, filter }, { ...attrs, pad: "valid", inputShape });
    return slice(dx, [0, padding, padding, 0], [batch, height, width, channels]);
  });
}

function filterGradient(
  x: Tensor4D,
  dy: Tensor4D,
  attrs: Conv2dBackpropFilterAttrs,
  padding: number,
): Tensor4D {
  return runKernelOr(conv2dBackpropFilterContract, { x, dy }, attrs, () => {
    if (!isExplicit(attrs)) return run(Conv2DBackpropFilter, { x, dy }, attrs);
    const sides = [padding, padding] as [number, number];
    return run(
      Conv2DBackpropFilter,
      { x: pad(x, [[0, 0], sides, sides, [0, 0]]), dy },
      { ...attrs, pad: "valid" },
    );
  });
}

// Inserts dilation - 1 rows and columns of zeros between the taps.
function dilate(weight: Tensor4D, dilation: number): Tensor4D {
  const [h, w, inChannels, outChannels] = weight.shape;
  const tap = inChannels * outChannels;
  const columns = pad(reshape(weight, [h, w, tap]) as Tensor3D, [
    [0, 0],
    [0, 0],
    [0, (dilation - 1) * tap],
  ]);
  const row = w * dilation * tap;
  const rows = pad(reshape(columns, [h, row]), [
    [0, 0],
    [0, (dilation - 1) * row],
  ]);
  const full = reshape(rows, [h * dilation, w * dilation, inChannels, outChannels]) as Tensor4D;
  return slice(full, [0, 0, 0, 0], [(h - 1) * dilation + 1, (w - 1) * dilation + 1, inChannels, outChannels]);
}
