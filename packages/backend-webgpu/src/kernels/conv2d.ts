/** Kernels of a convolution, with its epilogue. */
import { Conv2D, FusedConv2D } from "@tensorflow/tfjs-core";
import type { KernelConfig, KernelFunc, NamedTensorInfoMap, TensorInfo } from "@tensorflow/tfjs-core";
import { CONV2D_ADD } from "@mrcnn/nn/kernel";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { canFollow } from "../gemm/epilogue.ts";
import type { Epilogue } from "../gemm/epilogue.ts";
import { factorOf } from "../gemm/factor.ts";
import { multiply, rowsAt } from "../gemm/gemm.ts";
import { matrix } from "../gemm/operand.ts";
import type { Plan } from "../gemm/tile.ts";
import { geometryOf, isPointwise, windows } from "../gemm/window.ts";
import type { ConvAttrs, Geometry } from "../gemm/window.ts";
import { convolveByWinograd, isWinogradFaster } from "../gemm/winograd.ts";

type Attrs = ConvAttrs & Pick<Epilogue, "activation" | "leakyreluAlpha">;

/**
 * Computes a convolution as one matrix product of implicit windows, [B H' W', h w in] by the filter, [h w in,
 * out], and its epilogue. 2 B H' W' h w in out operations; x is read once from memory and h w times from
 * caches.
 */
export function convolve(
  backend: MrcnnWebgpuBackend,
  x: TensorInfo,
  filter: TensorInfo,
  geometry: Geometry,
  epilogue: Epilogue = {},
  plan?: Plan,
): TensorInfo {
  // A software adapter would have to compile three more shaders.
  if (plan === undefined && !backend.isSoftware && isWinogradFaster(geometry))
    return convolveByWinograd(backend, x, filter, geometry, epilogue);
  const { batch, input, output, kernel, inChannels, outChannels, groups } = geometry;
  const out = backend.makeTensorInfo([batch, ...output, outChannels], "float32");
  const rows = batch * output[0] * output[1];
  const columns = outChannels / groups;
  const depth = (kernel[0] * kernel[1] * inChannels) / groups;
  const a =
    isPointwise(geometry) ?
      matrix(
        "a",
        x,
        { outer: inChannels, depth: 1, batch: depth },
        { outer: batch * input[0] * input[1], depth },
      )
    : windows(x, geometry);
  const factor = factorOf(backend, filter);
  multiply(backend, {
    extent: { rows, columns, depth, batch: groups },
    a,
    b: matrix(
      "b",
      factor.tensor,
      { outer: 1, depth: outChannels, batch: columns },
      { outer: columns, depth },
      factor.element,
    ),
    tile: backend.precision === "float16" ? "f16" : "f32",
    out,
    target: rowsAt({ step: outChannels, batch: columns, channels: columns }),
    epilogue,
    ...(plan && { plan }),
  });
  return out;
}

const kernelOf =
  (original?: KernelFunc): KernelFunc =>
  (params) => {
    const { x, filter, bias, addend, preluActivationWeights } = params.inputs as NamedTensorInfoMap & {
      x: TensorInfo;
      filter: TensorInfo;
    };
    const attrs = params.attrs as unknown as Attrs;
    const epilogue = {
      bias,
      addend,
      preluActivationWeights,
      activation: attrs.activation,
      leakyreluAlpha: attrs.leakyreluAlpha,
    };
    const isOurs = attrs.dataFormat !== "NCHW" && canFollow(epilogue, filter.shape[3]!);
    if (!isOurs && original !== undefined) return original(params);
    return convolve(
      params.backend as MrcnnWebgpuBackend,
      x,
      filter,
      geometryOf(x.shape, filter.shape, attrs),
      epilogue,
    );
  };

/** Replaces TensorFlow.js's kernel, which is kept for some layouts and activations. */
export const conv2d = ({ kernelFunc }: KernelConfig): KernelConfig => ({
  kernelName: Conv2D,
  backendName: "webgpu",
  kernelFunc: kernelOf(kernelFunc),
});

/** Replaces TensorFlow.js's fused kernel likewise, with groups of channels. */
export const fusedConv2d = ({ kernelFunc }: KernelConfig): KernelConfig => ({
  kernelName: FusedConv2D,
  backendName: "webgpu",
  kernelFunc: kernelOf(kernelFunc),
});

/** Kernel of a convolution with an addend. */
export const conv2dAdd: KernelConfig = {
  kernelName: CONV2D_ADD,
  backendName: "webgpu",
  kernelFunc: kernelOf(),
};
