/** The public names of @mrcnn/anchors. */
export { cellAnchors } from "./cell-anchors.ts";
export type { CellOptions } from "./cell-anchors.ts";
export { anchorCounts, anchorsPerLocation, gridAnchors, torchvisionAnchors } from "./grid-anchors.ts";
export type { AnchorConfig } from "./grid-anchors.ts";
