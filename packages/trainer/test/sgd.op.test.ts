import { memory, scalar, tensor1d, tensor2d, variable } from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose } from "@mrcnn/testing";
import { sgd } from "../src/index.ts";

test("three updates by hand, with momentum 0.5 and weight decay 0.1", async () => {
  const w = variable(tensor1d([2]));
  const optimizer = sgd({ momentum: 0.5, weightDecay: 0.1 });
  const expected: number[] = [];
  let [value, velocity] = [2, 0];
  for (const [i, g] of [1, -2, 0.5].entries()) {
    // v = 0.5 v + (g + 0.1 w), starting as g + 0.1 w; w = w - 0.1 v.
    const d = g + 0.1 * value;
    velocity = i === 0 ? d : 0.5 * velocity + d;
    value -= 0.1 * velocity;
    expected.push(value);
    const gradient = tensor1d([g]);
    optimizer.apply(new Map([["w", w]]), new Map([["w", gradient]]), { rate: 0.1 });
    gradient.dispose();
    await expectClose(w, [expected[i]!], { atol: 1e-6 });
  }
  optimizer.dispose();
});

test("decay: weights leaves norms and biases alone", async () => {
  const bias = variable(tensor1d([4]));
  const weight = variable(tensor2d([[4]]));
  const zero = [tensor1d([0]), tensor2d([[0]])] as const;
  sgd({ weightDecay: 0.5, decay: "weights" }).apply(
    new Map([
      ["b", bias],
      ["w", weight as never],
    ]),
    new Map([
      ["b", zero[0]],
      ["w", zero[1] as never],
    ]),
    { rate: 1 },
  );
  await expectClose(bias, [4]);
  await expectClose(weight, [2]);
});

test("scale multiplies the gradient, and updates do not leak", async () => {
  const w = variable(tensor1d([0]));
  const g = tensor1d([10]);
  const optimizer = sgd({ momentum: 0, weightDecay: 0 });
  const update = (): void =>
    optimizer.apply(new Map([["w", w]]), new Map([["w", g]]), { rate: 1, scale: 0.25 });
  update();
  await expectClose(w, [-2.5]);
  const before = memory().numTensors;
  for (let i = 0; i < 5; i++) update();
  expect(memory().numTensors).toBe(before);
});

test("a scale on the device does the same, and below 0 nothing at all", async () => {
  const run = async (scales: readonly number[], onDevice: boolean): Promise<[w: number[], v: number[]]> => {
    const w = variable(tensor1d([1, -2, 3, 4, 5]));
    const g = tensor1d([10, 20, -30, 40, -50]);
    const optimizer = sgd({ momentum: 0.5, weightDecay: 0.1 });
    for (const scale of scales) {
      const tensor = scalar(scale);
      optimizer.apply(new Map([["w", w]]), new Map([["w", g]]), {
        rate: 0.1,
        scale: onDevice ? tensor : scale,
      });
      tensor.dispose();
    }
    const state = [[...(await w.data())], [...(await optimizer.state()).get("w")!.data]] as [
      number[],
      number[],
    ];
    optimizer.dispose();
    for (const t of [w, g]) t.dispose();
    return state;
  };
  expect(await run([0.5, -1, 0.25, -1], true)).toEqual(await run([0.5, 0.25], false));
  expect(await run([-1], true)).toEqual([
    [1, -2, 3, 4, 5],
    [0, 0, 0, 0, 0],
  ]);
});

test("a saved state continues exactly", async () => {
  const g = tensor1d([1, -3]);
  const run = async (restart: boolean): Promise<number[]> => {
    const w = variable(tensor1d([1, 1]));
    let optimizer = sgd({ momentum: 0.9 });
    for (let i = 0; i < 4; i++) {
      if (restart && i === 2) {
        const state = await optimizer.state();
        optimizer = sgd({ momentum: 0.9 });
        optimizer.load(state);
      }
      optimizer.apply(new Map([["w", w]]), new Map([["w", g]]), { rate: 0.1 });
    }
    return [...(await w.data())];
  };
  expect(await run(true)).toEqual(await run(false));
});
