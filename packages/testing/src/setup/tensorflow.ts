// tfjs-node, as `npm run setup:tensorflow` left it.
import { loadTensorflow, registerCudaKernels } from "@mrcnn/backend-cuda";
import * as tf from "@tensorflow/tfjs";

await loadTensorflow();
registerCudaKernels();
await tf.setBackend("tensorflow");
