// TensorFlow.js's WebGPU backend in Node, on the adapter that is here: a software one will do.
import { startWebgpu } from "@mrcnn/backend-webgpu/node";
import "@tensorflow/tfjs";

await startWebgpu();
