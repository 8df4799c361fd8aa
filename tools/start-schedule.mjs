// @ts-check
/**
 * Determines the length of the training of `npm start`: as many steps as fit into four minutes on this
 * machine, with the schedule in proportion.
 */

/** Steps that are timed, the first few of which are slow: kernels and workers start. */
export const timing = { steps: 14, warm: 4 };

const SECONDS = 240;
// A step of the training proper is a little slower than those that were timed, as objects are found;
// evaluations come on top.
const RESERVE = 0.93;
// Fewer find nothing.
const LEAST = 200;
/**
 * Mask AP50 on 120 unseen images after so many steps with the schedule in proportion; see
 * docs/performance.md.
 */
const measured = /** @type {const} */ ([
  [400, 0.43],
  [600, 0.8],
  [800, 0.87],
]);

/** @param {readonly number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/**
 * Chooses a schedule for a machine.
 *
 * @param {{ optimizer: { warmupSteps: number, milestones: readonly number[] }, training: { steps: number } }}
 *   config as written, for a machine that is fast enough
 * @param {readonly number[]} secondsPerStep as they were timed, in order
 */
export function fitSchedule({ optimizer, training }, secondsPerStep) {
  const step = median(secondsPerStep.slice(timing.warm));
  const steps = Math.max(LEAST, Math.min(training.steps, Math.floor((SECONDS * RESERVE) / step)));
  const scaled = (/** @type {number} */ value) => Math.round((value * steps) / training.steps);
  return {
    steps,
    secondsPerStep: step,
    /** Estimated duration of the training, seconds. */
    seconds: (steps * step) / RESERVE,
    settings: {
      "training.steps": steps,
      "optimizer.warmupSteps": scaled(optimizer.warmupSteps),
      "optimizer.milestones": optimizer.milestones.map(scaled),
      "training.evaluateEvery": Math.ceil(steps / 2),
      "training.checkpointEvery": Math.ceil(steps / 4),
    },
  };
}

/**
 * What to expect, in a sentence or two.
 *
 * @param {ReturnType<typeof fitSchedule>} schedule
 * @param {number} full steps of the whole schedule
 */
export function describeSchedule({ steps, secondsPerStep, seconds }, full) {
  const minutes = Math.max(1, Math.round(seconds / 60));
  const near = measured.findLast(([count]) => count <= steps);
  const expected =
    near === undefined ?
      `too few to find much (mask AP50 ${measured[0][1]} takes ${measured[0][0]})`
    : `enough for a mask AP50 of about ${near[1]} or more on images it has not seen`;
  const shortened = steps < full ? ` instead of ${full}, so that it does not take longer` : "";
  return `A step takes ${secondsPerStep.toFixed(2)} s here: training ${steps} steps${shortened}, about ${minutes} minute${minutes === 1 ? "" : "s"}; ${expected}.`;
}
