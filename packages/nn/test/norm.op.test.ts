import { dispose, fill, grads, variable } from "@tensorflow/tfjs-core";
import type { Rank, Tensor, Tensor1D, Tensor4D, Variable } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, golden, seededInput, seededWeight } from "@mrcnn/testing";
import { convNorm, disposeParams, groupNorm, initConv2d, initNorm, toVariable } from "../src/index.ts";
import type { BatchNormParams, Conv2dParams, ConvNormOptions, NormParams } from "../src/index.ts";
import { groupNormBackward, groupNormForward } from "../src/kernel.ts";
import { expectGolden } from "./expect-golden.ts";
import type { GoldenRun } from "./expect-golden.ts";

interface NormCase extends GoldenRun {
  readonly groups: number;
  readonly offset: number;
  readonly running_mean: number[];
  readonly running_var: number[];
}
const { cases } = golden<{ cases: Record<string, NormCase> }>(import.meta.url, "norm");
const shape = [2, 4, 5, 8] as const;
const filled = (shape: number[], value: number): Variable => toVariable(fill(shape, value));
const affine = (): { weight: Tensor; bias: Tensor } => ({
  weight: seededWeight("norm.weight", [8]),
  bias: seededWeight("norm.bias", [8]),
});

describe("groupNorm", () => {
  for (const name of ["group1", "group2", "group8"]) {
    const c = cases[name]!;
    it(`equals torch's GroupNorm(${c.groups})`, async () => {
      const inputs = { x: seededInput(`${name}.x`, shape, c.offset), ...affine() };
      // group8's mean is 17 times its deviation, which costs any float32 a digit.
      const tolerance = name === "group8" ? 5e-5 : 1e-5;
      await expectGolden(
        c,
        name,
        inputs,
        (x, weight, bias) =>
          groupNorm(x as Tensor4D, weight as Tensor1D, bias as Tensor1D, { groups: c.groups, eps: 1e-5 }),
        tolerance,
      );
    });

    it(`has loops for kernels that give the same: GroupNorm(${c.groups})`, async () => {
      const { weight, bias } = affine();
      const tensors = [
        seededInput(`${name}.x`, shape, c.offset),
        weight,
        bias,
        seededInput(`${name}.dy`, shape),
      ];
      const [x, w, b, dy] = (await Promise.all(tensors.map((t) => t.data()))) as Float32Array[];
      const attrs = { groups: c.groups, eps: 1e-5 };
      const arrays = (...sizes: number[]): Float32Array[] => sizes.map((n) => new Float32Array(n));
      const [y, mean, rstd, dx, dweight, dbias] = arrays(320, 2 * c.groups, 2 * c.groups, 320, 8, 8);
      groupNormForward(x!, shape, w!, b!, attrs, y!, mean!, rstd!);
      groupNormBackward(dy!, x!, shape, w!, mean!, rstd!, attrs, dx!, dweight!, dbias!);
      const close = { atol: 2e-5, rtol: 2e-5 };
      await expectClose(y!, c.y, close);
      await expectClose(dx!, c.gradients["x"]!, close);
      await expectClose(dweight!, c.gradients["weight"]!, close);
      await expectClose(dbias!, c.gradients["bias"]!, close);
      dispose(tensors);
    });
  }

  // Kernels cut large maps into parts, and take four channels at once where they can.
  for (const [groups, ...large] of [
    [7, 1, 37, 41, 70],
    [3, 2, 33, 34, 6],
    [2, 3, 1, 1, 8],
    [3, 0, 7, 7, 6],
  ] as const) {
    it(`of [${large.join(", ")}] in ${groups} groups gives what the loops give`, async () => {
      const channels = large[3];
      const [x, weight, bias, dy] = [
        seededInput("large.x", large, 3),
        seededWeight("large.weight", [channels]),
        seededWeight("large.bias", [channels]),
        seededInput("large.dy", large),
      ];
      const [xs, ws, bs, dys] = (await Promise.all(
        [x, weight, bias, dy].map((t) => t.data()),
      )) as Float32Array[];
      const arrays = (...sizes: number[]): Float32Array[] => sizes.map((n) => new Float32Array(n));
      const [y, mean, rstd, dx, dweight, dbias] = arrays(
        x.size,
        large[0] * groups,
        large[0] * groups,
        x.size,
        channels,
        channels,
      );
      groupNormForward(xs!, large, ws!, bs!, { groups, eps: 1e-5 }, y!, mean!, rstd!);
      groupNormBackward(dys!, xs!, large, ws!, mean!, rstd!, { groups }, dx!, dweight!, dbias!);
      const normalized = (x: Tensor, weight: Tensor, bias: Tensor): Tensor =>
        groupNorm(x as Tensor4D, weight as Tensor1D, bias as Tensor1D, { groups, eps: 1e-5 });
      const own = normalized(x, weight, bias);
      const gradients = grads(normalized as never)([x, weight, bias] as never, dy as never) as Tensor[];
      const close = { atol: 1e-4, rtol: 1e-4 };
      await expectClose(own, y!, close);
      for (const [i, wanted] of [dx, dweight, dbias].entries())
        await expectClose(gradients[i]!, wanted!, { atol: 1e-3, rtol: 1e-4 });
      dispose([x, weight, bias, dy, own, ...gradients]);
    });
  }

  it("has the numeric gradient", async () => {
    const inputs = [
      seededInput("numeric.x", [2, 2, 3, 4]),
      seededWeight("numeric.weight", [4]),
      seededWeight("numeric.bias", [4]),
    ];
    await expectGradients(
      (x, weight, bias) =>
        groupNorm(x as Tensor4D, weight as Tensor1D, bias as Tensor1D, { groups: 2, eps: 1e-3 }),
      inputs,
    );
    dispose(inputs);
  });

  it("refuses groups that don't divide the channels", () => {
    const { weight, bias } = affine();
    const x = seededInput("x", shape);
    expect(() =>
      groupNorm(x as Tensor4D, weight as Tensor1D, bias as Tensor1D, { groups: 3, eps: 1e-5 }),
    ).toThrow("groupNorm: groups must divide the 8 channels, got 3.");
    dispose([x, weight, bias]);
  });
});

describe("convNorm", () => {
  const withNorm =
    (
      statistics: { running_mean: Tensor; running_var: Tensor },
      options: Pick<ConvNormOptions, "kind" | "eps" | "statistics">,
    ) =>
    (x?: Tensor, conv?: Tensor, weight?: Tensor, bias?: Tensor): Tensor =>
      convNorm(
        { weight: conv } as unknown as Conv2dParams,
        { weight, bias, ...statistics } as unknown as NormParams,
        x as Tensor4D,
        {
          ...options,
          stride: 2,
          padding: 1,
          activation: "relu",
        },
      );
  const inputs = (): Record<string, Tensor> => ({
    x: seededInput("bn.x", [2, 6, 5, 3]),
    conv: seededWeight("bn.conv.weight", [3, 3, 3, 8]),
    ...affine(),
  });
  const statistics = (): { running_mean: Variable<Rank.R1>; running_var: Variable<Rank.R1> } => {
    const [mean, variance] = [seededWeight("bn.running_mean", [8]), seededWeight("bn.running_var", [8])];
    const made = { running_mean: variable(mean, false), running_var: variable(variance, false) };
    dispose([mean, variance]);
    return made as never;
  };

  it("folds frozen batch norm into the filter, and equals torchvision's", async () => {
    const fixed = statistics();
    await expectGolden(
      cases["frozen"]!,
      "frozen",
      inputs(),
      withNorm(fixed, { kind: "frozen_batch_norm", eps: 1e-3 }),
    );
    disposeParams(fixed);
  });

  it("normalizes by the batch and moves the running statistics as torch", async () => {
    const c = cases["batch"]!;
    const running = statistics();
    const values = inputs();
    const y = withNorm(running, { kind: "batch_norm", statistics: "batch" })(...Object.values(values));
    await expectClose(y, c.y);
    await expectClose(running.running_mean, c.running_mean);
    await expectClose(running.running_var, c.running_var);
    dispose(y);
    await expectGolden(
      c,
      "batch",
      values,
      withNorm(running, { kind: "batch_norm", statistics: "batch" }),
      2e-5,
    );
    disposeParams(running);
  });

  it("uses the running statistics of batch norm when told so, and leaves them alone", async () => {
    // With the same statistics, batch norm is frozen batch norm.
    const running = statistics();
    const values = Object.values(inputs());
    const y = withNorm(running, { kind: "batch_norm", eps: 1e-3 })(...values);
    await expectClose(y, cases["frozen"]!.y);
    const before = seededWeight("bn.running_mean", [8]);
    await expectClose(running.running_mean, before, { atol: 0, rtol: 0 });
    dispose([y, before, ...values]);
    disposeParams(running);
  });

  // Kernels of the fold take four channels at once where they can, and every gradient but the statistics' is asked for.
  for (const channels of [6, 8]) {
    it(`has the numeric gradient through a folded norm of ${channels} channels, the convolution's bias included`, async () => {
      const fixed = {
        running_mean: toVariable(seededInput("fold.mean", [channels])),
        running_var: toVariable(seededWeight("fold.running_var", [channels])),
      };
      const tensors = [
        seededInput("fold.x", [1, 3, 4, 2]),
        seededInput("fold.conv", [2, 2, 2, channels]),
        seededInput("fold.conv.bias", [channels]),
        seededInput("fold.weight", [channels]),
        seededInput("fold.bias", [channels]),
      ];
      await expectGradients(
        (x, weight, bias, scale, shift) =>
          convNorm(
            { weight, bias } as never,
            { weight: scale, bias: shift, ...fixed } as never,
            x as Tensor4D,
            { kind: "batch_norm", eps: 1e-2 },
          ),
        tensors,
      );
      dispose(tensors);
      disposeParams(fixed as never);
    });
  }

  it("folds a convolution's bias too", async () => {
    // 1 x 1 on one pixel: (2 * 3 + 1 - mean 4) / sqrt(4) * weight 10 + bias 5 = 20.
    const conv = { weight: filled([1, 1, 1, 1], 2), bias: filled([1], 1) } as unknown as Conv2dParams;
    const norm = {
      weight: filled([1], 10),
      bias: filled([1], 5),
      running_mean: filled([1], 4),
      running_var: filled([1], 4),
    } as unknown as BatchNormParams;
    const x = filled([1, 1, 1, 1], 3);
    const y = convNorm(conv, norm, x as unknown as Tensor4D, { kind: "frozen_batch_norm", eps: 0 });
    await expectClose(y, [20]);
    dispose([y, x]);
    disposeParams(conv);
    disposeParams(norm);
  });

  it("applies group norm, then relu", async () => {
    const random = createRandom(1);
    const conv = initConv2d({ size: 1, inChannels: 2, outChannels: 4 }, random, {
      init: { std: 1 },
      bias: false,
    });
    const norm = initNorm("group_norm", 4);
    const x = seededInput("gn.x", [1, 3, 3, 2]);
    const y = convNorm(conv, norm, x as Tensor4D, { kind: "group_norm", groups: 2, activation: "relu" });
    const plain = convNorm(conv, norm, x as Tensor4D, { kind: "group_norm", groups: 2 });
    const values = (await plain.data()) as Float32Array;
    await expectClose(
      y,
      values.map((v) => Math.max(0, v)),
    );
    // Standardized: each group's values have mean 0 (and some are cut).
    expect(values.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 4);
    expect(Math.min(...values)).toBeLessThan(0);
    const [dx] = grads(((x: Tensor) =>
      convNorm(conv, norm, x as Tensor4D, { kind: "group_norm", groups: 2, activation: "relu" })) as never)([
      x,
    ] as never) as Tensor[];
    expect(dx!.shape).toEqual(x.shape);
    dispose([x, y, plain, dx!]);
    disposeParams(conv);
    disposeParams(norm);
  });
});
