/**
 * The one place that looks whether what a network puts out is finite: no backend's NaN becomes a detection.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import { firstNotFinite, WeightsError } from "@mrcnn/core";
import { notFiniteOnDevice } from "@mrcnn/nn";

/** Checks outputs for NaN and infinity. */
export interface FiniteOutputs {
  /**
   * Looks at an output, which stays the caller's: at once where the host reads it anyway, else on the device,
   * whose word `settle` hears.
   *
   * @throws WeightsError that names it.
   */
  see(name: string, output: Tensor): Promise<void>;
  /**
   * Waits for the device's word on all that was seen since it was last waited for.
   *
   * @throws WeightsError as `see`.
   */
  settle(): Promise<void>;
  /** Disposes the flags that are still on the device. */
  dispose(): void;
}

/** Creates the checks of one detection. */
export function watchOutputs(): FiniteOutputs {
  let asked: { readonly name: string; readonly flag: Tensor }[] = [];
  // What was asked until now, to be waited for or not.
  const taken = (): typeof asked => {
    const all = asked;
    asked = [];
    return all;
  };
  return {
    async see(name, output) {
      if (output.size === 0) return;
      const flag = notFiniteOnDevice(output);
      if (flag !== undefined) {
        asked.push({ name, flag });
        return;
      }
      const values = await output.data();
      const at = firstNotFinite(values as Float32Array);
      if (at !== -1) refuse(name, String(values[at]));
    },
    async settle() {
      const own = taken();
      try {
        const words = await Promise.all(
          own.map(async ({ name, flag }) => ({ name, isBad: (await flag.data())[0] !== 0 })),
        );
        const bad = words.find(({ isBad }) => isBad);
        if (bad !== undefined) refuse(bad.name, "NaN or infinity");
      } finally {
        for (const { flag } of own) flag.dispose();
      }
    },
    dispose() {
      for (const { flag } of taken()) flag.dispose();
    },
  };
}

function refuse(name: string, what: string): never {
  throw new WeightsError(
    `detect: the network's ${name} must be finite, got ${what}: its sums outgrow what float32 holds (or float16, where that is computed with), so nothing it finds would be true. Its weights are damaged, a training that diverged has left them, or it wants another config (eps, mean and std of the image).`,
  );
}
