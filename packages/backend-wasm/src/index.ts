/** The public names of @mrcnn/backend-wasm. */

export { kernels, registerWasmKernels } from "./register.ts";
export { startWasm, stopWasm } from "./start.ts";
export type { WasmOptions } from "./start.ts";
