export { kernels, registerWasmKernels } from "./register.ts";
