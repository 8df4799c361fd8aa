import * as tf from "@tensorflow/tfjs";
import { registerWasmKernels } from "@mrcnn/backend-wasm";

registerWasmKernels();
await tf.setBackend("wasm");
