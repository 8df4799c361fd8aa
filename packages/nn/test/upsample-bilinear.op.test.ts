import type { Tensor4D } from "@tensorflow/tfjs-core";
import { describe, it } from "vitest";
import { golden, seededInput } from "@mrcnn/testing";
import { upsampleBilinear } from "../src/index.ts";
import { expectGolden } from "./expect-golden.ts";
import type { GoldenRun } from "./expect-golden.ts";

interface UpsampleCase extends GoldenRun {
  readonly name: string;
  readonly x: number[];
  readonly height: number;
  readonly width: number;
}
const fixture = golden<{ bilinear: UpsampleCase[] }>(import.meta.url, "pool");

describe("upsampleBilinear", () => {
  for (const c of fixture.bilinear) {
    const { name, height, width } = c;
    it(`equals torch: [${c.x.join(", ")}] to ${height} x ${width}`, async () => {
      await expectGolden(c, name, { x: seededInput(`${name}.x`, c.x) }, (x) =>
        upsampleBilinear(x as Tensor4D, { height, width }),
      );
    });
  }
});
