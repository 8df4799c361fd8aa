/** RoIAlign as matrix products, for backends without a kernel. */
import {
  add,
  concat,
  customGrad,
  gather,
  matMul,
  reshape,
  slice,
  stack,
  tensor1d,
  tensor2d,
  tensor3d,
  tidy,
  zeros,
} from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import type { Rois } from "@mrcnn/core";
import { axisTaps } from "./interpolation.ts";
import type { RoiAlignAttrs } from "./contract.ts";

// Most values of the largest intermediate of one chunk (64 MB in float32).
const CHUNK_VALUES = 1 << 24;

/**
 * The RoIs `order[begin]` to `order[end - 1]`, all of one image, few enough that their intermediate fits in
 * memory.
 */
interface Chunk {
  readonly image: number;
  readonly begin: number;
  readonly end: number;
}

/** Returns the RoIs' indices grouped by image, and the inverse of that permutation. */
function groupByImage(imageIndex: Int32Array): { order: Int32Array; inverse: Int32Array; sorted: boolean } {
  const order = Int32Array.from(imageIndex.keys()).sort((a, b) => imageIndex[a]! - imageIndex[b]! || a - b);
  const inverse = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) inverse[order[i]!] = i;
  return { order, inverse, sorted: order.every((r, i) => r === i) };
}

function chunks(imageIndex: Int32Array, order: Int32Array, valuesPerRoi: number): Chunk[] {
  const most = Math.max(1, Math.floor(CHUNK_VALUES / valuesPerRoi));
  const result: Chunk[] = [];
  for (let begin = 0; begin < order.length;) {
    const image = imageIndex[order[begin]!]!;
    let end = begin + 1;
    while (end < order.length && end - begin < most && imageIndex[order[end]!] === image) end++;
    result.push({ image, begin, end });
    begin = end;
  }
  return result;
}

/**
 * Computes RoIAlign as two matrix products, for backends without a kernel: per channel `out = Ay · F · Axᵀ`
 * with `Ay` [bins, H] and `Ax` [bins, W] the averaged bilinear weights. Its gradient, `Ayᵀ · dy · Ax`, is
 * written the same way so that no intermediate outlives its chunk.
 */
export function separableRoiAlign(features: Tensor4D, rois: Rois, attrs: RoiAlignAttrs): Tensor4D {
  const [batch, height, width, channels] = features.shape;
  const { outputHeight, outputWidth } = attrs;
  const { order, inverse, sorted } = groupByImage(rois.imageIndex);
  const parts = chunks(rois.imageIndex, order, outputHeight * width * channels);

  // The weights of a chunk's n RoIs: rows [n * outputHeight, H], columns [n * outputHeight, outputWidth, W].
  // For the backward pass they are transposed on the host, because backends are slow at it.
  const weights = ({ begin, end }: Chunk, transposed: boolean): { rows: Tensor2D; columns: Tensor3D } => {
    const n = end - begin;
    const rows = new Float32Array(n * outputHeight * height);
    const columns = new Float32Array(n * outputHeight * outputWidth * width);
    for (let i = 0; i < n; i++) {
      const box = rois.boxes.subarray(order[begin + i]! * 4);
      const ys = axisTaps(box[1]!, box[3]!, outputHeight, height, attrs);
      const xs = axisTaps(box[0]!, box[2]!, outputWidth, width, attrs);
      for (let h = 0; h < outputHeight; h++) {
        const row = i * outputHeight + h;
        for (let y = ys.starts[h]!; y < ys.starts[h + 1]!; y++) {
          const cell = ys.cells[y]!;
          rows[transposed ? cell * n * outputHeight + row : row * height + cell] = ys.weights[y]!;
        }
        for (let w = 0; w < outputWidth; w++) {
          for (let x = xs.starts[w]!; x < xs.starts[w + 1]!; x++) {
            const cell = xs.cells[x]!;
            const at = transposed ? cell * outputWidth + w : w * width + cell;
            columns[row * outputWidth * width + at] = xs.weights[x]!;
          }
        }
      }
    }
    const lines = n * outputHeight;
    return transposed ?
        { rows: tensor2d(rows, [height, lines]), columns: tensor3d(columns, [lines, width, outputWidth]) }
      : { rows: tensor2d(rows, [lines, height]), columns: tensor3d(columns, [lines, outputWidth, width]) };
  };
  const permute = (x: Tensor4D, rows: Int32Array): Tensor4D =>
    sorted ? x : gather(x, tensor1d(rows, "int32"));

  const forward = (x: Tensor4D): Tensor4D => {
    const outputs = parts.map((part) =>
      tidy((): Tensor4D => {
        const { rows, columns } = weights(part, false);
        const image = reshape(slice(x, [part.image, 0, 0, 0], [1, height, width, channels]), [
          height,
          width * channels,
        ]);
        const pooled = reshape(matMul(rows, image), [rows.shape[0], width, channels]);
        return reshape(matMul(columns, pooled), [part.end - part.begin, outputHeight, outputWidth, channels]);
      }),
    );
    return permute(concat(outputs, 0), inverse);
  };

  const backward = (dy: Tensor4D): Tensor4D => {
    const grouped = permute(dy, order);
    const images: (Tensor3D | undefined)[] = Array.from({ length: batch });
    for (const part of parts) {
      const { begin, end, image } = part;
      const before = images[image];
      images[image] = tidy((): Tensor3D => {
        const { rows, columns } = weights(part, true);
        const n = (end - begin) * outputHeight;
        const bins = reshape(
          slice(grouped, [begin, 0, 0, 0], [end - begin, outputHeight, outputWidth, channels]),
          [n, outputWidth, channels],
        );
        const spread = reshape(matMul(columns, bins), [n, width * channels]);
        const dx = reshape(matMul(rows, spread), [height, width, channels]) as Tensor3D;
        return before === undefined ? dx : add(before, dx);
      });
      before?.dispose();
    }
    return stack(images.map((image) => image ?? zeros([height, width, channels]))) as Tensor4D;
  };

  const op = customGrad((x) => ({
    value: forward(x as Tensor4D),
    gradFunc: (dy: Tensor) => tidy(() => backward(dy as Tensor4D)),
  }));
  return op(features) as Tensor4D;
}
