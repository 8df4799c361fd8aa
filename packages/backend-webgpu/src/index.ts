export type { WebgpuDevice } from "./adapter.ts";
export { MrcnnWebgpuBackend } from "./backend.ts";
export type { Traffic } from "./backend.ts";
export { kernels, registerWebgpuKernels } from "./register.ts";
export { startWebgpu, webgpuBackend } from "./start.ts";
export type { WebgpuOptions } from "./start.ts";
