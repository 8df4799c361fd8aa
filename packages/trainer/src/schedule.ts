/** Learning rate schedules, as in Detectron and torchvision's reference scripts. */
import { ConfigError } from "@mrcnn/core";

/** Options of `warmupMultiStep`. */
export interface ScheduleOptions {
  /** The rate after warm-up, before the first milestone. */
  readonly baseRate: number;
  /** Number of steps of linear warm-up from `baseRate * warmupFactor`. Default 0. */
  readonly warmupSteps?: number;
  /** Factor of the rate at the first step of the warm-up. Default 1/1000. */
  readonly warmupFactor?: number;
  /** Steps at which the rate is multiplied by `gamma`, ascending. */
  readonly milestones?: readonly number[];
  /** Factor of the rate at each milestone. Default 0.1. */
  readonly gamma?: number;
}

/** Returns the learning rate of a step (counted from 0). */
export type Schedule = (step: number) => number;

/**
 * Returns a schedule of linear warm-up followed by decay at milestones, that of Detectron and torchvision's
 * reference. Step k uses the rate after k updates; a milestone m first takes effect at step m.
 *
 * @throws ConfigError for milestones out of order or negative rates.
 */
export function warmupMultiStep(options: ScheduleOptions): Schedule {
  const { baseRate, warmupSteps = 0, warmupFactor = 1e-3, milestones = [], gamma = 0.1 } = options;
  if (!(baseRate >= 0))
    throw new ConfigError(`warmupMultiStep: baseRate must be at least 0, got ${baseRate}.`);
  if (milestones.slice(1).some((m, i) => m < milestones[i]!)) {
    throw new ConfigError(`warmupMultiStep: milestones must ascend, got ${milestones.join(", ")}.`);
  }
  return (step) => {
    const passed = milestones.filter((m) => step >= m).length;
    const warmth = step < warmupSteps ? warmupFactor + (1 - warmupFactor) * (step / warmupSteps) : 1;
    return baseRate * warmth * gamma ** passed;
  };
}
