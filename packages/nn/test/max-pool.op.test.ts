import type { Tensor4D } from "@tensorflow/tfjs-core";
import { describe, it } from "vitest";
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
      await expectGolden(c, name, { x: seededInput(`${name}.x`, c.x, -1.2) }, (x) => maxPool(x as Tensor4D, { size, stride, padding }));
    });
  }
});
