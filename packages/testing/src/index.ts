/** The public names of @mrcnn/testing. */

export { expectClose } from "./close.ts";
export { golden } from "./golden.ts";
export { expectGradients } from "./gradient-check.ts";
export { expectNoLeaks } from "./leaks.ts";
export { seededInput, seededWeight } from "./seeded-params.ts";
export { seededSpread, seededUniform } from "./seeded.ts";
export { expectSummary, gradientsOf, seedVariables } from "./summary.ts";
export type { Summary } from "./summary.ts";
