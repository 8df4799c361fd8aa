/** The public names of @mrcnn/backend-webgpu in a page. */

export type { WebgpuDevice } from "./adapter.ts";
export { MrcnnWebgpuBackend } from "./backend.ts";
export type { Traffic } from "./backend.ts";
export { kernels, registerWebgpuKernels } from "./register.ts";
export { precisions, startWebgpu, webgpuBackend } from "./start.ts";
export type { Precision, WebgpuOptions } from "./start.ts";
