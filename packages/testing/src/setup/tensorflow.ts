/** Test setup: tfjs-node, as installed by `npm run setup:tensorflow`. */
import { loadTensorflow, registerCudaKernels } from "@mrcnn/backend-cuda";
import * as tf from "@tensorflow/tfjs";

await loadTensorflow();
registerCudaKernels();
await tf.setBackend("tensorflow");
