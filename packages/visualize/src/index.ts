/** The public names of @mrcnn/visualize. */

export type { Chart, ChartSeries } from "./chart.ts";
export { instanceColor } from "./color.ts";
export type { Color } from "./color.ts";
export type { KeypointStyle } from "./keypoints.ts";
export { drawGroundTruth, drawOverlay } from "./overlay.ts";
export type { DrawOptions, OverlayOptions } from "./overlay.ts";
export { reportHtml } from "./report.ts";
export type { Report, ReportImage, ReportTable } from "./report.ts";
export { tileImages } from "./tile.ts";
export type { TileOptions } from "./tile.ts";
