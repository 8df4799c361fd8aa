/** Test setup: the WebGPU backend in Node, on any adapter, which may be a software one. */
import { startWebgpu } from "@mrcnn/backend-webgpu/node";
import "@tensorflow/tfjs";

await startWebgpu();
