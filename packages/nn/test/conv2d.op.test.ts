import { dispose, engine, grads, tensor4d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import {
  expectClose,
  expectGradients,
  expectNoLeaks,
  golden,
  seededInput,
  seededWeight,
} from "@mrcnn/testing";
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
        conv2d(params(weight!, bias), x as Tensor4D, {
          stride,
          padding,
          dilation,
          ...(relu && { activation: "relu" }),
        }),
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
        conv2d(params(weight!, bias), x as Tensor4D, {
          groups,
          stride,
          padding,
          dilation,
          ...(relu && { activation: "relu" }),
        }),
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

  // Backends that take groups and dilations in their own kernels must do so on what fills no vector, too.
  const awkward: Record<
    string,
    {
      x: [number, number, number, number];
      weight: number[];
      stride: number;
      padding: number;
      dilation: number;
      groups: number;
    }
  > = {
    "groups, dilation and stride, some rows never read": {
      x: [2, 7, 6, 6],
      weight: [3, 3, 3, 4],
      stride: 2,
      padding: 1,
      dilation: 2,
      groups: 2,
    },
    "a group of one channel each, dilated beyond the map": {
      x: [1, 4, 5, 3],
      weight: [3, 3, 1, 6],
      stride: 1,
      padding: 3,
      dilation: 3,
      groups: 3,
    },
    "an even filter of 5 groups, stride 3": {
      x: [1, 9, 7, 5],
      weight: [2, 4, 1, 5],
      stride: 3,
      padding: 2,
      dilation: 1,
      groups: 5,
    },
    "1x1 of groups with a stride": {
      x: [2, 5, 4, 4],
      weight: [1, 1, 2, 6],
      stride: 2,
      padding: 0,
      dilation: 1,
      groups: 2,
    },
    "1x1 with a stride and padding": {
      x: [1, 5, 4, 2],
      weight: [1, 1, 2, 3],
      stride: 2,
      padding: 1,
      dilation: 1,
      groups: 1,
    },
    "dilated, one row out": {
      x: [1, 5, 9, 2],
      weight: [3, 2, 2, 2],
      stride: 1,
      padding: 0,
      dilation: 2,
      groups: 1,
    },
  };
  for (const [
    name,
    {
      x: shape,
      weight: [h, w, inputs, outputs],
      ...options
    },
  ] of Object.entries(awkward)) {
    it(`equals the definition and has the numeric gradient: ${name}`, async () => {
      const { stride, padding, dilation, groups } = options;
      const x = seededInput("awkward.x", shape);
      const weight = seededWeight("awkward.weight", [h!, w!, inputs!, outputs!]);
      const bias = seededWeight("awkward.bias", [outputs!]);
      const [xs, ws, bs] = await Promise.all([x.data(), weight.data(), bias.data()]);
      const [batch, height, width, channels] = shape;
      const size = (length: number, taps: number): number =>
        Math.floor((length + 2 * padding - dilation * (taps - 1) - 1) / stride) + 1;
      const expected: number[] = [];
      for (let b = 0; b < batch; b++) {
        for (let r = 0; r < size(height, h!); r++) {
          for (let c = 0; c < size(width, w!); c++) {
            for (let o = 0; o < outputs!; o++) {
              const first = Math.floor(o / (outputs! / groups)) * inputs!;
              let sum = bs[o]!;
              for (let i = 0; i < h!; i++) {
                for (let j = 0; j < w!; j++) {
                  const [y, z] = [r * stride + i * dilation - padding, c * stride + j * dilation - padding];
                  if (y < 0 || y >= height || z < 0 || z >= width) continue;
                  for (let q = 0; q < inputs!; q++)
                    sum +=
                      xs[((b * height + y) * width + z) * channels + first + q]! *
                      ws[((i * w! + j) * inputs! + q) * outputs! + o]!;
                }
              }
              expected.push(sum);
            }
          }
        }
      }
      const run = (x: Tensor, weight: Tensor, bias: Tensor): Tensor =>
        conv2d(params(weight, bias), x as Tensor4D, options);
      const y = run(x, weight, bias);
      await expectClose(y, expected, { atol: 1e-5, rtol: 1e-5 });
      await expectGradients(run as never, [x, weight, bias]);
      await expectNoLeaks(() => grads(run as never)([x, weight, bias] as never) as Tensor[]);
      dispose([x, weight, bias, y]);
    });
  }

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
      dispose(
        grads(((weight: Tensor) => conv2d(params(weight), x as Tensor4D, { padding: 1 })) as never)([
          weight,
        ] as never),
      );
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
    expect(() => conv2d(params(weight), x)).toThrow(
      "conv2d: x must have shape [*, *, *, 2], got [1, 1, 1, 3].",
    );
    expect(() => conv2d(params(weight), x, { groups: 3 })).toThrow(
      "conv2d: x must have shape [*, *, *, 6], got [1, 1, 1, 3].",
    );
    const two = tensor4d([1, 2], [1, 1, 1, 2]);
    const odd = seededWeight("odd", [1, 1, 1, 3]);
    expect(() => conv2d(params(odd), two, { groups: 2 })).toThrow(
      "conv2d: weight must have outputs that 2 groups divide, got 3.",
    );
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
    const y = tidy(() =>
      conv2dTranspose(params(tensor4d([1, 2, 3, 4], [2, 2, 1, 1])), tensor4d([1, 10], [1, 1, 2, 1]), {
        stride: 2,
      }),
    );
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
