/** The public names of @mrcnn/nms. */
export { argsortDescending } from "./argsort.ts";
export { nms } from "./nms.ts";
export { batchedNmsOnHost, nmsOnHost } from "./nms-host.ts";
export type { BatchedNmsOptions, NmsOptions } from "./nms-host.ts";
