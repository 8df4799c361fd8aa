import { add, dispose, mean, square } from "@tensorflow/tfjs-core";
import type { Scalar, Variable } from "@tensorflow/tfjs-core";
import { createRandom } from "@mrcnn/core";
import type { FeatureMaps, RpnOutput } from "@mrcnn/core/tensors";
import { disposeParams, flattenParams, toVariable } from "@mrcnn/nn";
import {
  expectNoLeaks,
  expectSummary,
  golden,
  gradientsOf,
  seedVariables,
  seededInput,
} from "@mrcnn/testing";
import type { Summary } from "@mrcnn/testing";
import { expect, it } from "vitest";
import { applyRpnHead, initRpnHead } from "../src/rpn-head.ts";

interface HeadCase {
  readonly inputs: number[][];
  readonly outputs: { readonly objectness: Summary; readonly deltas: Summary };
  readonly gradients: Readonly<Record<string, Summary>>;
}
const fixture = golden<{ channels: number; case: HeadCase; caseV2: HeadCase }>(import.meta.url, "rpn-head");

it.each([1, 2])(
  "equals torchvision's RPN head of %i convolutions, its outputs in the anchors' order, and its gradients",
  async (convs) => {
    const c = convs === 1 ? fixture.case : fixture.caseV2;
    const params = initRpnHead(
      { inChannels: fixture.channels, anchorsPerLocation: 3, convs },
      createRandom(1),
    );
    const variables = flattenParams(params);
    seedVariables(variables);
    const inputs = new Map<string, Variable>(
      c.inputs.map((shape, i) => [`p${i + 2}`, toVariable(seededInput(`p${i + 2}`, shape))]),
    );
    const apply = (): RpnOutput => applyRpnHead(params, inputs as unknown as FeatureMaps);
    const { objectness, deltas, levelCounts } = apply();
    await expectSummary(objectness, c.outputs.objectness, "objectness", 2e-5);
    await expectSummary(deltas, c.outputs.deltas, "deltas", 2e-5);
    expect(levelCounts).toEqual([6 * 9 * 3, 3 * 5 * 3, 2 * 1 * 3]);

    const loss = (): Scalar => {
      const output = apply();
      return add(mean(square(output.objectness)), mean(square(output.deltas)));
    };
    const gradients = gradientsOf(loss, new Map([...inputs, ...variables]));
    expect([...gradients.keys()].toSorted()).toEqual(Object.keys(c.gradients).toSorted());
    for (const [key, gradient] of gradients) await expectSummary(gradient, c.gradients[key]!, key, 2e-5);

    await expectNoLeaks(() => {
      const output = apply();
      return [output.objectness, output.deltas];
    });
    dispose([objectness, deltas, ...gradients.values(), ...inputs.values()]);
    disposeParams(params);
  },
);
