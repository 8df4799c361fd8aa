import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { registerWasmKernels } from "@mrcnn/backend-wasm";

registerWasmKernels();
await tf.setBackend("wasm");
