/** The public names of @mrcnn/trainer. */

export { restoreState, saveState } from "./checkpoint.ts";
export type { CheckpointState } from "./checkpoint.ts";
export { fit } from "./fit.ts";
export type { FitHooks, FitOptions } from "./fit.ts";
export { warmupMultiStep } from "./schedule.ts";
export type { Schedule, ScheduleOptions } from "./schedule.ts";
export { sgd } from "./sgd.ts";
export type { ApplyOptions, Optimizer, SgdOptions } from "./sgd.ts";
export { trainStep } from "./step.ts";
export type { StepOptions, StepReport } from "./step.ts";
export { onTape } from "./tape.ts";
export type { OpenTape } from "./tape.ts";
