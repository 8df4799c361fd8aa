import { describe, expect, it } from "vitest";
import * as tf from "@tensorflow/tfjs";
import { kernels, startWasm } from "@mrcnn/backend-wasm";
import { expectClose } from "@mrcnn/testing";

describe("startWasm", () => {
  it("refuses a number of threads that is none", async () => {
    await expect(startWasm({ threads: 0 })).rejects.toThrow(
      /threads must be "auto" or a whole number from 1, got 0/,
    );
    await expect(startWasm({ threads: 1.5 })).rejects.toThrow("got 1.5");
  });

  it("runs as many threads as asked for, and leaves the globals as they were", async () => {
    expect(await startWasm({ threads: 2 })).toBe(2);
    expect(tf.getBackend()).toBe("wasm");
    expect("Worker" in globalThis).toBe(false);
  });

  it("says what runs when it is called again", async () => {
    expect(await startWasm({ threads: 1 })).toBe(2);
    for (const { kernelName, kernelFunc } of kernels)
      expect(tf.getKernel(kernelName, "wasm").kernelFunc).toBe(kernelFunc);
  });

  it("splits the work among the threads without changing a bit of the result", async () => {
    // Large enough for two threads; the channels and pixels do not divide evenly.
    const x = tf.randomNormal([2, 61, 57, 20], 0, 1, "float32", 3) as tf.Tensor4D;
    const w = tf.randomNormal([3, 3, 20, 27], 0, 1, "float32", 4) as tf.Tensor4D;
    const y = tf.conv2d(x, w, 1, "same");
    // Each image alone is under the same threads; each channel alone is not.
    const first = tf.conv2d(tf.slice(x, [0, 0, 0, 0], [1, -1, -1, -1]), w, 1, "same");
    await expectClose(tf.slice(y, [0, 0, 0, 0], [1, -1, -1, -1]), first, { atol: 0, rtol: 0 });
    for (const channel of [0, 8, 26]) {
      const alone = tf.conv2d(x, tf.slice(w, [0, 0, 0, channel], [-1, -1, -1, 1]) as tf.Tensor4D, 1, "same");
      await expectClose(tf.slice(y, [0, 0, 0, channel], [-1, -1, -1, 1]), alone, { atol: 0, rtol: 0 });
    }
  });

  it("computes the same convolution and gradients as backend cpu, in a heap that has grown", async () => {
    const filler = tf.zeros([3000, 3000]);
    const x = tf.randomNormal([2, 33, 31, 24], 0, 0.3, "float32", 1) as tf.Tensor4D;
    const w = tf.randomNormal([3, 3, 24, 33], 0, 0.3, "float32", 2) as tf.Tensor4D;
    const loss = (x: tf.Tensor, w: tf.Tensor): tf.Scalar =>
      tf.sum(tf.square(tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, "same")));
    const values = async (): Promise<Float32Array[]> => {
      const tensors = tf.grads(loss)([x, w]);
      return Promise.all(tensors.map((t) => t.data() as Promise<Float32Array>));
    };
    const actual = await values();
    await tf.setBackend("cpu");
    const expected = await values();
    for (const [i, one] of actual.entries()) await expectClose(one, expected[i]!, { atol: 1e-3, rtol: 1e-4 });
    filler.dispose();
  });
});
