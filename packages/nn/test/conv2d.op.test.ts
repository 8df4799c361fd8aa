import { dispose, engine, grads, tensor4d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { expectGradients, golden, seededInput, seededWeight } from "@mrcnn/testing";
import { conv2d, conv2dTranspose } from "../src/index.ts";
import type { Conv2dParams } from "../src/index.ts";
import { expectGolden } from "./expect-golden.ts";
import type { GoldenRun } from "./expect-golden.ts";

interface ConvCase extends GoldenRun {
  readonly name: string;
  readonly x: number[];
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly relu: boolean;
}
const fixture = golden<{ cases: ConvCase[]; transpose: GoldenRun }>(import.meta.url, "conv2d");
interface GroupedCase extends Omit<ConvCase, "size"> {
  readonly weight: number[];
  readonly groups: number;
}
const grouped = golden<{ cases: GroupedCase[]; overlapping: GoldenRun }>(import.meta.url, "grouped");
const params = (weight: Tensor, bias?: Tensor): Conv2dParams => ({ weight, bias }) as unknown as Conv2dParams;

describe("conv2d", () => {
  for (const c of fixture.cases) {
    const { name, size, stride, padding, dilation, relu } = c;
    it(`equals torch: ${size}x${size}, stride ${stride}, padding ${padding}, dilation ${dilation}${relu ? ", relu" : ""}`, async () => {
      const inputs = {
        x: seededInput(`${name}.x`, c.x),
        weight: seededWeight(`${name}.weight`, [size, size, 2, 3]),
        bias: seededWeight(`${name}.bias`, [3]),
      };
      await expectGolden(c, name, inputs, (x, weight, bias) =>
        conv2d(params(weight!, bias), x as Tensor4D, { stride, padding, dilation, ...(relu && { activation: "relu" }) }),
      );
    });
  }

  for (const c of grouped.cases) {
    const { name, groups, stride, padding, dilation, relu } = c;
    it(`equals torch: ${groups} groups of ${c.weight[2]}, ${c.weight[0]}x${c.weight[1]}, stride ${stride}, dilation ${dilation}`, async () => {
      const inputs = {
        x: seededInput(`${name}.x`, c.x),
        weight: seededWeight(`${name}.weight`, c.weight),
        bias: seededWeight(`${name}.bias`, [c.weight[3]!]),
      };
      await expectGolden(c, name, inputs, (x, weight, bias) =>
        conv2d(params(weight!, bias), x as Tensor4D, { groups, stride, padding, dilation, ...(relu && { activation: "relu" }) }),
      );
    });
  }

  it("has the numeric gradient, without bias, when some rows are never read", async () => {
    // (6 - 2) / 3 leaves the last row and column out: their gradient is 0.
    const x = seededInput("numeric.x", [1, 6, 6, 2]);
    const weight = seededWeight("numeric.weight", [2, 2, 2, 2]);
    await expectGradients((x, weight) => conv2d(params(weight!), x as Tensor4D, { stride: 3 }), [x, weight]);
    dispose([x, weight]);
  });

  it("computes only the gradients asked for", () => {
    const x = seededInput("asked.x", [1, 4, 4, 2]);
    const weight = seededWeight("asked.weight", [3, 3, 2, 2]);
    const kernels: string[] = [];
    const run = engine().runKernel.bind(engine());
    engine().runKernel = ((name: string, ...rest: [never, never]) => {
      kernels.push(name);
      return run(name, ...rest);
    }) as typeof run;
    try {
      dispose(grads(((weight: Tensor) => conv2d(params(weight), x as Tensor4D, { padding: 1 })) as never)([weight] as never));
    } finally {
      engine().runKernel = run;
    }
    expect(kernels).toContainEqual(expect.stringContaining("Conv2DBackpropFilter"));
    expect(kernels).not.toContainEqual(expect.stringContaining("Conv2DBackpropInput"));
    dispose([x, weight]);
  });

  it("names the shape it needs", () => {
    const weight = seededWeight("w", [3, 3, 2, 2]);
    const x = tensor4d([1, 2, 3], [1, 1, 1, 3]);
    expect(() => conv2d(params(weight), x)).toThrow("conv2d: x must have shape [*, *, *, 2], got [1, 1, 1, 3].");
    expect(() => conv2d(params(weight), x, { groups: 3 })).toThrow("conv2d: x must have shape [*, *, *, 6], got [1, 1, 1, 3].");
    const two = tensor4d([1, 2], [1, 1, 1, 2]);
    const odd = seededWeight("odd", [1, 1, 1, 3]);
    expect(() => conv2d(params(odd), two, { groups: 2 })).toThrow("conv2d: weight must have outputs that 2 groups divide, got 3.");
    dispose([weight, x, two, odd]);
  });
});

describe("conv2dTranspose", () => {
  it("equals torch's ConvTranspose2d(2, stride 2) with relu", async () => {
    const inputs = {
      x: seededInput("transpose.x", [2, 3, 4, 5]),
      weight: seededWeight("transpose.weight", [2, 2, 3, 5]),
      bias: seededWeight("transpose.bias", [3]),
    };
    await expectGolden(fixture.transpose, "transpose", inputs, (x, weight, bias) =>
      conv2dTranspose(params(weight!, bias), x as Tensor4D, { stride: 2, activation: "relu" }),
    );
  });

  it("writes each input pixel into its own block", async () => {
    // One channel in and out; block (0, 0) is x's first pixel times the filter [[1, 2], [3, 4]].
    const y = tidy(() => conv2dTranspose(params(tensor4d([1, 2, 3, 4], [2, 2, 1, 1])), tensor4d([1, 10], [1, 1, 2, 1]), { stride: 2 }));
    expect([...(await y.data())]).toEqual([1, 2, 10, 20, 3, 4, 30, 40]);
    y.dispose();
  });

  it("equals torch's ConvTranspose2d(4, stride 2, padding 1), whose outputs overlap", async () => {
    const inputs = {
      x: seededInput("overlapping.x", [2, 3, 4, 5]),
      weight: seededWeight("overlapping.weight", [4, 4, 3, 5]),
      bias: seededWeight("overlapping.bias", [3]),
    };
    await expectGolden(grouped.overlapping, "overlapping", inputs, (x, weight, bias) =>
      conv2dTranspose(params(weight!, bias), x as Tensor4D, { stride: 2, padding: 1 }),
    );
  });

  it("refuses a filter smaller than the stride", () => {
    tidy(() => {
      const weight = seededWeight("w", [1, 1, 1, 1]);
      expect(() => conv2dTranspose(params(weight), tensor4d([1], [1, 1, 1, 1]), { stride: 2 })).toThrow(
        "conv2dTranspose: weight must have shape [s, s, *, *] with s at least the stride 2, got [1, 1, 1, 1].",
      );
    });
  });
});
