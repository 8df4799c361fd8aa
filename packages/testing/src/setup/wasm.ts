/** Test setup: TensorFlow.js's WebAssembly backend with this project's kernels, on one thread. */
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { registerWasmKernels } from "@mrcnn/backend-wasm";

registerWasmKernels();
await tf.setBackend("wasm");
