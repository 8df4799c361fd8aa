export { loadTensorflow, tensorflowAvailable } from "./load.ts";
export { kernels, registerCudaKernels } from "./register.ts";
