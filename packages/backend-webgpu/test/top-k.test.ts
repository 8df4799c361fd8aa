// Against a plain sort.
import { backendState } from "../../../tools/setup/backends.mjs";
import { engine, memory, tensor1d } from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs";
import { createRandom } from "@mrcnn/core";
import { beforeAll, describe, expect, it } from "vitest";
import { webgpuBackend } from "../src/index.ts";
import { topK } from "../src/kernels/top-k.ts";
import type { Segment } from "../src/kernels/top-k.ts";
import { startWebgpu } from "../src/node.ts";

async function chosen(values: Float32Array, segments: readonly Segment[]): Promise<number[][]> {
  const backend = webgpuBackend();
  const x = tensor1d(values);
  const found = topK(backend, x, segments);
  const all = (await backend.read(found.indices.dataId)) as Int32Array;
  const own = segments.map(({ k }, i) => [...all.subarray(found.starts[i]!, found.starts[i]! + k)]);
  found.dispose();
  x.dispose();
  return own;
}

const sorted = (values: Float32Array, { offset, count, k }: Segment): number[] =>
  Array.from({ length: count }, (_, i) => offset + i)
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, k);

describe.skipIf(!backendState("webgpu").available)("topK", () => {
  beforeAll(() => startWebgpu());
  const random = createRandom(3);

  it.each<[string, (i: number) => number]>([
    ["logits of either sign", () => 20 * random.uniform() - 10],
    ["many equals, so that the lower places count", () => Math.floor(5 * random.uniform()) - 2],
    ["all equal", () => 0.25],
    ["values of one exponent", () => 1 + random.uniform() / 8],
    ["zero, infinities and the smallest floats", (i) => [0, Infinity, -Infinity, 1e-38, -1e-38][i % 5]!],
  ])("of %s: segments of many lengths, from one value to more than a tile", async (_, value) => {
    const lengths: readonly (readonly [count: number, k: number])[] = [
      [1, 1],
      [7, 7],
      [300, 299],
      [4096, 1000],
      [9000, 1000],
      [5000, 1],
      [2000, 2000],
    ];
    let offset = 0;
    const segments = lengths.map(([count, k]) => {
      const segment = { offset, count, k };
      offset += count;
      return segment;
    });
    const values = Float32Array.from({ length: offset }, (__, i) => value(i));
    expect(await chosen(values, segments)).toEqual(segments.map((segment) => sorted(values, segment)));
  });

  it("leaves nothing on the device", async () => {
    const values = Float32Array.from({ length: 5000 }, () => random.uniform());
    const segment = { offset: 0, count: 5000, k: 10 };
    await chosen(values, [segment]);
    const before = [memory().numTensors, engine().backend.numDataIds()];
    await chosen(values, [segment]);
    expect([memory().numTensors, engine().backend.numDataIds()]).toEqual(before);
  });
});
