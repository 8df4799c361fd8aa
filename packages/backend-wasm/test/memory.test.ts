// What happens where WebAssembly's memory ends: an error, and nothing else changes.
import * as tf from "@tensorflow/tfjs";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startWasm, stopWasm } from "@mrcnn/backend-wasm";
import { expectClose } from "@mrcnn/testing";
import { instanceOf } from "../src/simd.ts";

const MB = 2 ** 20;
const backend = (): BackendWasm => tf.backend() as BackendWasm;

/** Lets the memory grow by `bytes` from now on: as if the rest were used up. */
function limitGrowth(bytes: number): void {
  const { memory } = instanceOf(backend());
  const limit = memory.buffer.byteLength + bytes;
  memory.grow = (pages) => {
    if (memory.buffer.byteLength + pages * 2 ** 16 > limit) throw new RangeError("the limit of this test");
    return WebAssembly.Memory.prototype.grow.call(memory, pages);
  };
}

const values = (seed: number, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => ((i * 7919 + seed * 104_729) % 65_521) / 256);

/** Fills the memory with tensors of known values. @returns those it had room for, and why there was none for the next. */
function fillUp(length: number): { readonly held: tf.Tensor[]; readonly error: unknown } {
  const held: tf.Tensor[] = [];
  try {
    for (;;) held.push(tf.tensor1d(values(held.length, length)));
  } catch (error) {
    return { held, error };
  }
}

const bytesOf = (data: Float32Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** A convolution, its gradients and a softmax, bit for bit. */
async function someResult(): Promise<Buffer> {
  const x = tf.tensor4d(
    values(1, 2 * 33 * 31 * 24).map((v) => v / 256),
    [2, 33, 31, 24],
  );
  const w = tf.tensor4d(
    values(2, 3 * 3 * 24 * 20).map((v) => v / 256 - 0.5),
    [3, 3, 24, 20],
  );
  const [dx, dw] = tf.grads((a: tf.Tensor, b: tf.Tensor) =>
    tf.sum(tf.relu(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 2, "same"))),
  )([x, w]);
  const all = tf.concat([
    tf.reshape(tf.conv2d(x, w, 1, "same"), [-1]),
    tf.reshape(dx!, [-1]),
    tf.reshape(dw!, [-1]),
    tf.reshape(tf.softmax(tf.reshape(x, [-1, 24])), [-1]),
  ]);
  const data = await all.data<"float32">();
  tf.dispose([x, w, dx!, dw!, all]);
  return bytesOf(data);
}

describe.each<readonly [threads: number, sizes: readonly number[]]>([
  [1, [MB, 3 * MB + 4, 40_000]],
  [2, [2 * MB + 12]],
])("with %i thread(s)", (threads, sizes) => {
  beforeEach(async () => {
    await stopWasm();
    await startWasm({ threads });
  });
  afterEach(stopWasm);

  it.each(sizes)(
    "refuses the tensor that has no room, keeps the values of all others, and goes on: %i bytes each",
    async (bytes) => {
      const expected = await someResult();
      limitGrowth(64 * MB);
      const { held, error } = fillUp(bytes / 4);
      expect(error).toMatchObject({
        code: "memory",
        message: expect.stringMatching(
          /^Backend wasm is out of memory: [\d,]+ MB more were needed, and [\d,]+ MB of at most 4,096 MB are taken\. Use smaller images \(minSize, maxSize\)/,
        ),
      });
      expect(held.length * bytes).toBeGreaterThan(20 * MB);
      for (const i of [0, 1, held.length >> 1, held.length - 1])
        expect(bytesOf(await held[i]!.data<"float32">()).equals(bytesOf(values(i, bytes / 4)))).toBe(true);
      // The reserve lets what is small still be computed.
      expect(await tf.tidy(() => tf.add(held[0]!.slice(0, 3), 1)).data()).toEqual(
        values(0, 3).map((v) => v + 1),
      );
      tf.dispose(held);
      expect((await someResult()).equals(expected)).toBe(true);
      expect(fillUp(bytes / 4).held.length).toBeGreaterThan(0.9 * held.length);
    },
  );

  it.each([2 ** 30 + 25, 2 ** 31, 2 ** 31 + 7])(
    "refuses a tensor of more bytes than addresses, where its remainder would fit: %i values",
    (length) => {
      expect(() => tf.fill([length], 1)).toThrow(/out of memory: [\d,]+ MB more were needed/);
    },
  );

  it("frees what a kernel had allocated before it failed", () => {
    const x = tf.zeros([1, 512, 512, 16]) as tf.Tensor4D; // 16 MB; its padded copy and the result 17 and 16 more
    const w = tf.zeros([3, 3, 16, 16]) as tf.Tensor4D;
    limitGrowth(0);
    const { held } = fillUp(MB);
    tf.dispose(held.splice(-6)); // 24 MB: room for one of the two beside the reserve
    for (let i = 0; i < 5; i++) expect(() => tf.conv2d(x, w, 1, "same")).toThrow(/out of memory/);
    const before = tf.memory().numTensors;
    const again = fillUp(MB).held;
    expect(again.length).toBe(6);
    expect(tf.memory().numTensors).toBe(before + 6);
  });

  it("computes the same beyond 2 GB, where addresses look negative", async () => {
    const expected = await someResult();
    // Never written to, so that it costs addresses only.
    const filler = Array.from({ length: 36 }, () => backend().makeOutput([2 ** 24], "float32"));
    const probe = tf.zeros([4]);
    expect(backend().getMemoryOffset(backend().makeOutput([2 ** 24], "float32").dataId)).toBeGreaterThan(
      2 ** 31,
    );
    expect((await someResult()).equals(expected)).toBe(true);
    tf.dispose(probe);
    for (const { dataId } of filler) backend().disposeData(dataId);
  });
});

describe("stopWasm", () => {
  it("leaves nothing of its start on the process", async () => {
    await stopWasm();
    const counts = (): number[] =>
      ["uncaughtException", "unhandledRejection"].map((event) => process.listenerCount(event));
    const before = counts();
    for (const threads of [1, 2, 1]) {
      await startWasm({ threads });
      expect(counts()).toEqual(before);
      await stopWasm();
    }
  });

  it("gives the memory back, and startWasm starts anew; what was on it says so", async () => {
    await startWasm({ threads: 2 });
    const expected = await someResult();
    const old = tf.ones([3]);
    const { memory } = instanceOf(backend());
    await stopWasm();
    await stopWasm(); // what does not run is left alone
    expect(await startWasm({ threads: 1 })).toBe(1);
    expect(instanceOf(backend()).memory).not.toBe(memory);
    expect((await someResult()).equals(expected)).toBe(true);
    await expect(old.data()).rejects.toThrow(
      "Backend wasm was stopped, and what was on it is gone. Load the model again.",
    );
    expect(() => tf.add(old, 1)).toThrow("Backend wasm was stopped");
    const { numTensors } = tf.memory();
    old.dispose();
    expect(tf.memory().numTensors).toBe(numTensors - 1);
    expect(await startWasm({ threads: 2 })).toBe(1); // runs already
  });
});

it("a module that aborted computes nothing more, and is started anew", async () => {
  await startWasm({ threads: 1 });
  const expected = await someResult();
  const old = tf.ones([3]);
  // What emscripten calls when compiled code can't go on.
  (backend() as unknown as { wasm: { onAbort(what: string): void } }).wasm.onAbort("");
  expect(() => tf.ones([3])).toThrow(
    "Backend wasm broke down before. Start it anew with startWasm(), and load what was on it again.",
  );
  old.dispose();
  await startWasm({ threads: 1 });
  await expectClose(tf.ones([3]), [1, 1, 1], { atol: 0, rtol: 0 });
  expect((await someResult()).equals(expected)).toBe(true);
});
