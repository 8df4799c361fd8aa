import { add, dispose, grads } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { ShapeError } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { expectClose, expectNoLeaks, golden, seededInput } from "@mrcnn/testing";
import { upsampleAdd, upsampleNearest } from "../src/index.ts";
import { expectGolden } from "./expect-golden.ts";
import type { GoldenRun } from "./expect-golden.ts";

interface UpsampleCase extends GoldenRun {
  readonly name: string;
  readonly x: number[];
  readonly height: number;
  readonly width: number;
}
const fixture = golden<{ upsample: UpsampleCase[] }>(import.meta.url, "pool");

describe("upsampleNearest", () => {
  for (const c of fixture.upsample) {
    const { name, height, width } = c;
    it(`equals torch: [${c.x.join(", ")}] to ${height} x ${width}`, async () => {
      await expectGolden(c, name, { x: seededInput(`${name}.x`, c.x) }, (x) =>
        upsampleNearest(x as Tensor4D, { height, width }),
      );
    });
  }
});

describe("upsampleAdd", () => {
  for (const [[height, width], ...coarse] of [
    [[6, 10], 2, 3, 5, 8],
    [[7, 5], 2, 4, 3, 5],
    [[25, 42], 1, 13, 21, 4],
    [[3, 3], 1, 1, 1, 1],
  ] as const) {
    it(`is the sum of a map and [${coarse.join(", ")}] enlarged to ${height} x ${width}, and so are its gradients`, async () => {
      const x = seededInput("add.x", coarse) as Tensor4D;
      const [finer, dy] = ["finer", "dy"].map((name) =>
        seededInput(`add.${name}`, [coarse[0], height, width, coarse[3]]),
      ) as [Tensor4D, Tensor4D];
      const joined = (x: Tensor, finer: Tensor): Tensor => upsampleAdd(x as Tensor4D, finer as Tensor4D);
      const summed = (x: Tensor, finer: Tensor): Tensor =>
        add(finer, upsampleNearest(x as Tensor4D, { height, width }));
      const [own, wanted] = [joined(x, finer), summed(x, finer)];
      await expectClose(own, wanted, { atol: 1e-6, rtol: 0 });
      const [gradients, wantedGradients] = [joined, summed].map(
        (f) => grads(f as never)([x, finer] as never, dy as never) as Tensor[],
      ) as [Tensor[], Tensor[]];
      for (const [i, gradient] of gradients.entries())
        await expectClose(gradient, wantedGradients[i]!, { atol: 1e-6, rtol: 0 });
      await expectNoLeaks(() => grads(joined as never)([x, finer] as never, dy as never) as Tensor[]);
      dispose([x, finer, dy, own, wanted, ...gradients, ...wantedGradients]);
    });
  }

  it("refuses maps of other channels", () => {
    const [x, finer] = [seededInput("x", [1, 2, 2, 3]), seededInput("y", [1, 4, 4, 2])] as [
      Tensor4D,
      Tensor4D,
    ];
    expect(() => upsampleAdd(x, finer)).toThrow(ShapeError);
    dispose([x, finer]);
  });
});
