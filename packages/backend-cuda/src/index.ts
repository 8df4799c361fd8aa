/** The public names of @mrcnn/backend-cuda. */

export { processorFlags } from "./host.ts";
export { findTensorflow, loadTensorflow, precisions, tensorflowAvailable } from "./load.ts";
export type { Precision, TensorflowOptions, TensorflowSetup } from "./load.ts";
export { kernels, registerCudaKernels } from "./register.ts";
