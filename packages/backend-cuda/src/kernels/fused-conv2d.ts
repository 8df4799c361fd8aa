/** Kernels of a convolution with bias, relu and addition, through oneDNN on the CPU. */
import { add, backend_util, engine, FusedConv2D, relu, tidy } from "@tensorflow/tfjs-core";
import type { FusedConv2DAttrs, KernelConfig, KernelFunc, NamedAttrMap, Tensor } from "@tensorflow/tfjs-core";
import { CONV2D_ADD } from "@mrcnn/nn/kernel";
import { runFusedConv2d } from "../fused-op.ts";
import type { FusedConv2dOp } from "../fused-op.ts";
import { fusesOnHost, hasAvx512, multipliesInBf16 } from "../host.ts";
import { kernel } from "../tensorflow-backend.ts";
import type { KernelArgs, TensorflowBackend } from "../tensorflow-backend.ts";
import { inBands } from "../bands.ts";

type Shape4D = [number, number, number, number];
type Inputs = Readonly<Record<"x" | "filter", Tensor>> & { readonly bias?: Tensor };
type Call = (args: KernelArgs<"x" | "filter", FusedConv2DAttrs>) => Tensor;

/**
 * Number of channels from which bands pay off with AVX-512: for fewer, splitting costs more than it gains.
 */
const WIDE = 256;

// Returns the fused op, without an addend; undefined where none applies.
function opOf(
  backend: TensorflowBackend,
  { x, filter, bias }: Inputs,
  attrs: FusedConv2DAttrs,
): FusedConv2dOp | undefined {
  const { strides, dilations, pad, dimRoundingMode, activation, dataFormat } = attrs;
  const isPlain =
    dataFormat === "NHWC" &&
    (activation === "linear" || activation === "relu") &&
    (dimRoundingMode ?? "floor") === "floor";
  if (
    !isPlain ||
    bias?.shape.length !== 1 ||
    bias.size !== filter.shape[3] ||
    x.size === 0 ||
    !fusesOnHost(backend)
  )
    return undefined;
  const info = backend_util.computeConv2DInfo(
    x.shape as Shape4D,
    filter.shape as Shape4D,
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  const { top, bottom, left, right } = info.padInfo;
  return {
    x,
    filter,
    args: [bias],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    paddings: [top, bottom, left, right],
    relu: activation === "relu",
  };
}

/**
 * Runs FusedConv2D on the CPU as one op of oneDNN, without a separate pass over the output for the bias; a
 * single image in bands where that is faster. Where the op doesn't apply, or the addon can't pass it on, it
 * calls `original`, tfjs-node's kernel.
 */
export function fusedConv2d(original: KernelConfig): KernelConfig {
  const call = original.kernelFunc as unknown as Call;
  const whole: Call = (args) => {
    const op = opOf(args.backend, args.inputs, args.attrs);
    return op === undefined ? call(args) : runFusedConv2d(args.backend, op);
  };
  const isBetterWhole = ({ inputs: { x }, backend }: Parameters<Call>[0]): boolean =>
    fusesOnHost(backend) && hasAvx512() && (multipliesInBf16() || x.shape[3]! < WIDE);
  const kernelFunc: Call = (args) => (isBetterWhole(args) ? whole(args) : inBands(whole, args));
  return { ...original, kernelFunc: kernelFunc as unknown as KernelFunc };
}

/**
 * Runs `CONV2D_ADD` as the same op, which adds to the output as well; where that doesn't apply, as
 * FusedConv2D and two more ops.
 */
export const conv2dAdd: KernelConfig = kernel<"x" | "filter" | "bias" | "addend", FusedConv2DAttrs>(
  CONV2D_ADD,
  ({ inputs, attrs, backend }) => {
    const { addend, ...others } = inputs;
    const op = opOf(backend, others, attrs);
    if (op !== undefined) return runFusedConv2d(backend, { ...op, args: [op.args[0], addend] });
    return tidy(() => {
      const sum = add(
        engine().runKernel(FusedConv2D, others, {
          ...attrs,
          activation: "linear",
        } as unknown as NamedAttrMap) as Tensor,
        addend,
      );
      return attrs.activation === "relu" ? relu(sum) : sum;
    });
  },
);
