export { MrcnnWebgpuBackend } from "./backend.ts";
export type { Traffic } from "./backend.ts";
export { kernels, registerWebgpuKernels } from "./register.ts";
export { startWebgpu, webgpuBackend } from "./start.ts";
export type { WebgpuDevice, WebgpuOptions } from "./start.ts";
