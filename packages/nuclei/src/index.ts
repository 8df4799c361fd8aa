/** The public names of @mrcnn/nuclei. */

export { nuclei, nucleiWeights } from "./nuclei.ts";
export { nucleiSamples } from "./samples.ts";
export type { NucleiSample } from "./samples.ts";
