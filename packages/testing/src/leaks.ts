/** Detects leaked tensors. */
import { expect } from "vitest";
import { dispose, memory } from "@tensorflow/tfjs-core";
import type { TensorContainer } from "@tensorflow/tfjs-core";

/** Runs `work` once to warm up, then again, and asserts that after disposing its result no tensor remains. */
export async function expectNoLeaks(work: () => TensorContainer | Promise<TensorContainer>): Promise<void> {
  dispose(await work());
  const before = memory().numTensors;
  dispose(await work());
  expect(memory().numTensors, "tensors left behind").toBe(before);
}
