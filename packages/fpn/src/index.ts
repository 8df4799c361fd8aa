/** The public names of @mrcnn/fpn. */
export { applyFpn, initFpn } from "./fpn.ts";
export type { FpnConfig, FpnParams } from "./fpn.ts";
