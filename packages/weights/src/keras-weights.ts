/** Reader of Keras weights in HDF5 files. */
import type { NamedArrays } from "@mrcnn/core";
import { loadTensors } from "./file-tensor.ts";
import type { FileTensors } from "./file-tensor.ts";

/**
 * Reads the weights of a Keras model from an HDF5 file (`save_weights`, or the `model_weights` of a whole
 * model), by their paths: `conv1/conv1/kernel:0`. Shapes and layouts are Keras's: HWIO, transposed
 * convolutions HWOI, dense [in, out]. The arrays are views of `bytes` where possible. `where` names the file
 * in errors. The reader of HDF5 is loaded on first use.
 *
 * @throws WeightsError naming the data set or position when the file is truncated or corrupt, or its data
 * sets are chunked, compressed, big-endian or not numeric.
 */
export async function readKerasWeights(bytes: Uint8Array, where: string): Promise<NamedArrays> {
  return loadTensors(await kerasTensors(bytes, where));
}

/** Reads the weights as `readKerasWeights` does, without converting them. */
export async function kerasTensors(bytes: Uint8Array, where: string): Promise<FileTensors> {
  const { hdf5Tensors } = await import("./hdf5.ts");
  const tensors = hdf5Tensors(bytes, where);
  const inner = "model_weights/";
  const ofModel = [...tensors].filter(([path]) => path.startsWith(inner));
  return ofModel.length === 0 ?
      tensors
    : new Map(ofModel.map(([path, tensor]) => [path.slice(inner.length), tensor]));
}
