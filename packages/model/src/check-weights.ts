/**
 * Whether weights are those of a config, and whether one can compute with them: asked before anything is
 * allocated.
 */
import { firstNotFinite, misfitOf, WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import type { MaskRcnnConfig } from "./config.ts";
import { numericsProfiles } from "./numerics.ts";
import { weightShapes } from "./weight-shapes.ts";

/**
 * Throws unless `arrays` are all the weights of a model of `config`, and no others.
 *
 * @param advice what to do about a config that does not fit.
 * @throws WeightsError, beginning with `where`, that lists what is missing, unexpected or of another shape.
 */
export function assertWeightsFit(
  config: MaskRcnnConfig,
  arrays: NamedArrays,
  where: string,
  advice: string,
): void {
  const shapes = weightShapes(config);
  const misfit = misfitOf(shapes, arrays);
  if (misfit !== undefined)
    throw new WeightsError(
      `${where}: the weights must fit the model's ${shapes.size} tensors: ${misfit}. ${advice}`,
    );
}

// Below this, the least normal number, some devices compute with 0.
const LEAST_VARIANCE = 2 ** -126;
// The eps of the norm of this name, and where the config says it.
function epsOf(
  { backbone, fpn, box, maskHead, numerics }: MaskRcnnConfig,
  norm: string,
): readonly [eps: number, path: string] {
  if (/^(backbone\.body|roi_heads\.layer4)\./.test(norm)) return [backbone.eps, "backbone.eps"];
  const [own, path] =
    norm.startsWith("backbone.fpn.") ? [fpn.eps, "fpn.eps"]
    : norm.startsWith("roi_heads.mask_head.") ? [maskHead.eps, "maskHead.eps"]
    : [box.eps, "box.eps"];
  return [own ?? numericsProfiles[numerics].normEps, path];
}

/** How an error asks for another value of a config. */
export type SayConfig = (path: string, value: unknown) => string;

/**
 * Throws unless a model of `config` can compute with `arrays`, of which some of its weights may be absent:
 * every value is finite, and so is what every norm of fixed statistics multiplies by.
 *
 * @param say how the caller's surface gives another value of the config.
 * @throws WeightsError, beginning with `where`, that names the tensor.
 */
export function assertWeightsSound(
  config: MaskRcnnConfig,
  arrays: NamedArrays,
  where: string,
  say: SayConfig = (path, value) => `config ${path} ${JSON.stringify(value)}`,
): void {
  for (const [name, array] of arrays) {
    const at = firstNotFinite(array.data);
    if (at === -1) continue;
    const value = array.data[at]!;
    const why =
      Number.isNaN(value) ?
        "A training that diverged leaves such weights: take an earlier checkpoint"
      : "Half precision holds no value above 65504: save the weights in float32, or, if a training diverged, take an earlier checkpoint";
    throw new WeightsError(
      `${where}: ${name} holds ${value} at place ${at}, and nothing can be computed with it. ${why}.`,
    );
  }
  for (const [name, { data }] of arrays) {
    if (!name.endsWith(".running_var")) continue;
    const norm = name.slice(0, -".running_var".length);
    const [eps, path] = epsOf(config, `${norm}.`);
    const [weight, mean] = [arrays.get(`${norm}.weight`)?.data, arrays.get(`${norm}.running_mean`)?.data];
    for (let i = 0; i < data.length; i++) {
      const variance = Math.fround(data[i]! + Math.fround(eps));
      const scale = Math.fround((weight?.[i] ?? 1) / Math.sqrt(variance));
      const shift = Math.fround((mean?.[i] ?? 0) * scale);
      if (variance >= LEAST_VARIANCE && Number.isFinite(scale) && Number.isFinite(shift)) continue;
      const cause =
        data[i]! < 0 ?
          "a variance is never negative, so the file is damaged, or the training diverged. Take another checkpoint."
        : eps === 0 ?
          `the file lost it in half precision. Save it in float32, or, if the model was trained with eps 1e-5, as torchvision builds it without COCO's weights, say so: ${say(path, 1e-5)}.`
        : "nothing can be computed with that, so the file is damaged, or the training diverged. Take another checkpoint.";
      const what =
        variance < LEAST_VARIANCE || !(data[i]! >= 0) ?
          `${name} holds ${data[i]}`
        : `${norm} has the variance ${data[i]}, the weight ${weight?.[i]} and the mean ${mean?.[i]}`;
      throw new WeightsError(`${where}: ${what} (place ${i}) and the norm's eps is ${eps}: ${cause}`);
    }
  }
}
