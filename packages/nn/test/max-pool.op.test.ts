import { tensor4d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor4D } from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { golden, seededInput } from "@mrcnn/testing";
import { maxPool } from "../src/index.ts";
import { expectGolden } from "./expect-golden.ts";
import type { GoldenRun } from "./expect-golden.ts";

interface PoolCase extends GoldenRun {
  readonly name: string;
  readonly x: number[];
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
}
const fixture = golden<{ pool: PoolCase[] }>(import.meta.url, "pool");

describe("maxPool", () => {
  for (const c of fixture.pool) {
    const { name, size, stride, padding } = c;
    it(`equals torch: size ${size}, stride ${stride}, padding ${padding} on [${c.x.join(", ")}]`, async () => {
      await expectGolden(c, name, { x: seededInput(`${name}.x`, c.x, -1.2) }, (x) =>
        maxPool(x as Tensor4D, { size, stride, padding }),
      );
    });
  }

  it("pads TensorFlow's \"same\" after the end only, where torch's padding 1 is on both sides", async () => {
    // 1..16 in four rows: windows of 3 from rows and columns 0 and 2, the last of them cut.
    const x = Array.from({ length: 16 }, (_, i) => i + 1);
    const pooled = tidy(() => maxPool(tensor4d(x, [1, 4, 4, 1]), { size: 3, stride: 2, padding: "same" }));
    expect([...(await pooled.data())]).toEqual([11, 12, 15, 16]);
    pooled.dispose();
  });
});
