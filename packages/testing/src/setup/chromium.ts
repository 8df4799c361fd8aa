// WebGPU in a page, on the adapter that the browser has: a software one will do.
import { startWebgpu } from "@mrcnn/backend-webgpu";
import "@tensorflow/tfjs";

await startWebgpu();
