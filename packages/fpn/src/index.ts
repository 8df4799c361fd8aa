export { applyFpn, initFpn } from "./fpn.ts";
export type { FpnConfig, FpnOptions, FpnParams } from "./fpn.ts";
