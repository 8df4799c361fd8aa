/** Convolution of a single image in bands of rows, for oneDNN on the CPU. */
import { availableParallelism } from "node:os";
import { backend_util, gather, pad, reshape, tensor1d, tidy } from "@tensorflow/tfjs-core";
import type { FusedConv2DAttrs, Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import type { KernelArgs } from "./tensorflow-backend.ts";

type Shape4D = [number, number, number, number];
type Call = (args: KernelArgs<"x" | "filter", FusedConv2DAttrs>) => Tensor;

/** Minimum rows per band: a shorter one spends too much on the rows it shares with its neighbours. */
const LEAST_ROWS = 8;
const MOST_BANDS = 8;

// Returns the number of equal bands of whole output rows, one for each thread; 1 when the image is better
// left whole.
function bandsOf(rows: number): number {
  const threads = Math.min(MOST_BANDS, availableParallelism());
  let bands = 1;
  while (bands < threads && rows % (2 * bands) === 0 && rows / (2 * bands) >= LEAST_ROWS) bands *= 2;
  return bands;
}

/**
 * Runs FusedConv2D by `call`, on the CPU in bands. oneDNN convolves a single image with a third (AVX2) to
 * three quarters (AVX-512) of the arithmetic rate that it reaches on a batch. So the image is split into
 * bands of rows, each with the additional rows that its filter covers, which are convolved as a batch; the
 * bands' outputs are contiguous and form the whole output. The sums are the same. 1x1 convolutions, batches
 * and images that can't be split go to `call` unchanged.
 */
export function inBands(
  call: Call,
  { inputs, attrs, backend }: KernelArgs<"x" | "filter", FusedConv2DAttrs>,
): Tensor {
  const { x, filter } = inputs;
  if (
    x.shape[0] !== 1 ||
    filter.shape[2] !== x.shape[3] ||
    attrs.dataFormat !== "NHWC" ||
    backend.isUsingGpuDevice
  )
    return call({ inputs, attrs, backend });
  const { strides, dilations, pad: given, dimRoundingMode } = attrs;
  const info = backend_util.computeConv2DInfo(
    x.shape as Shape4D,
    filter.shape as Shape4D,
    strides,
    dilations,
    given,
    dimRoundingMode,
  );
  const { filterHeight, filterWidth, outHeight, outWidth, outChannels, strideHeight, padInfo } = info;
  const bands = bandsOf(outHeight);
  if (bands === 1 || filterHeight * filterWidth === 1 || info.dilationHeight > 1 || info.dilationWidth > 1)
    return call({ inputs, attrs, backend });
  return tidy(() => {
    const { top, bottom, left, right } = padInfo;
    const padded = pad(x as Tensor4D, [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ]);
    const [, , width, channels] = padded.shape;
    const step = (outHeight / bands) * strideHeight;
    const reach = step - strideHeight + filterHeight;
    const rows = Int32Array.from(
      { length: bands * reach },
      (_, i) => Math.floor(i / reach) * step + (i % reach),
    );
    const cut = reshape(gather(padded, tensor1d(rows, "int32"), 1), [bands, reach, width, channels]);
    const y = call({ inputs: { ...inputs, x: cut }, attrs: { ...attrs, pad: "valid" }, backend });
    return reshape(y, [1, outHeight, outWidth, outChannels]);
  });
}
