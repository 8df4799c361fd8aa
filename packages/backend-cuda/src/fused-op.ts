/** Runs oneDNN's fused convolution through tfjs-node. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { OpAttr, TensorflowBackend } from "./tensorflow-backend.ts";

/** A convolution with its epilogue. */
export interface FusedConv2dOp {
  /** Input, [B, H, W, in]. */
  readonly x: Tensor;
  /** Filter, [h, w, in, out]. */
  readonly filter: Tensor;
  /** The bias [out], and optionally a tensor that is added to the output. */
  readonly args: readonly [bias: Tensor, addend?: Tensor];
  readonly strides: readonly [y: number, x: number];
  readonly dilations: readonly [y: number, x: number];
  readonly paddings: readonly [top: number, bottom: number, left: number, right: number];
  readonly relu: boolean;
}

/**
 * Runs the convolution as one op of oneDNN, and relu as another: oneDNN's fused relu turns NaN into 0.
 * TensorFlow's own _FusedConv2D is as fast on a single image, and must not be used: its products (oneDNN's
 * AVX-512 gemm) keep data below the stack's red zone, so a signal that arrives meanwhile, Ctrl-C or a
 * profiler's, corrupts the heap (TensorFlow 2.21).
 *
 * @throws where the addon can't pass it on, or the library lacks it: see `fusesOnHost`.
 */
export function runFusedConv2d(
  backend: TensorflowBackend,
  { x, filter, args, strides, dilations, paddings, relu }: FusedConv2dOp,
): Tensor {
  const { binding } = backend;
  const given = args.filter((arg) => arg !== undefined);
  const isPadded = paddings.some((n) => n > 0);
  const [top, bottom, left, right] = paddings;
  const attr = (name: string, type: number, value: unknown): OpAttr => ({ name, type, value });
  const attrs = [
    attr("T", binding.TF_ATTR_TYPE, binding.TF_FLOAT),
    attr(
      "TArgs",
      binding.TF_ATTR_TYPE,
      given.map(() => binding.TF_FLOAT),
    ),
    attr("num_args", binding.TF_ATTR_INT, given.length),
    attr("num_host_args", binding.TF_ATTR_INT, 0),
    attr("strides", binding.TF_ATTR_INT, [1, ...strides, 1]),
    attr("dilations", binding.TF_ATTR_INT, [1, ...dilations, 1]),
    attr("padding", binding.TF_ATTR_STRING, isPadded ? "EXPLICIT" : "VALID"),
    attr("explicit_paddings", binding.TF_ATTR_INT, isPadded ? [0, 0, top, bottom, left, right, 0, 0] : []),
    attr("data_format", binding.TF_ATTR_STRING, "NHWC"),
    attr("fused_ops", binding.TF_ATTR_STRING, ["BiasAdd", ...(given.length > 1 ? ["Add"] : [])]),
    // Epsilon of batch norm, which is not used here, but TensorFlow requires the attribute.
    attr("epsilon", binding.TF_ATTR_FLOAT, 0),
    attr("is_filter_const", binding.TF_ATTR_BOOL, false),
    // Marks the ops that TensorFlow's own graph rewriting inserts, as opposed to those of users.
    attr("_kernel", binding.TF_ATTR_STRING, "MklNameChangeOp"),
  ];
  const y = backend.executeSingleOutput("_MklNativeFusedConv2D", attrs, [x, filter, ...given]);
  if (!relu) return y;
  const result = backend.executeSingleOutput(
    "Relu",
    [attr("T", binding.TF_ATTR_TYPE, binding.TF_FLOAT)],
    [y],
  );
  y.dispose();
  return result;
}
