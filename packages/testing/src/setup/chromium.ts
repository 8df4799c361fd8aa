/** Test setup: WebGPU in a page, on the browser's adapter, which may be a software one. */
import { startWebgpu } from "@mrcnn/backend-webgpu";
import "@tensorflow/tfjs";

await startWebgpu();
