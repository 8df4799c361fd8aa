export { kernels, registerWasmKernels } from "./register.ts";
export { startWasm } from "./start.ts";
export type { WasmOptions } from "./start.ts";
