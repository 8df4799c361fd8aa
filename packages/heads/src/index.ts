export { selectDetections } from "./select-detections.ts";
export type { DetectionConfig } from "./select-detections.ts";
