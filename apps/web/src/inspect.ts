/** Runs one detection and keeps the results of every stage, in numbers that a page can draw. */
import { abs, max, mean, sigmoid, squeeze, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import type { BoxDetections, ImageSize, RawImage, Rois } from "@mrcnn/core";
import type { FeatureMaps } from "@mrcnn/core/tensors";
import { numericsProfiles } from "@mrcnn/model";
import type { DetectOptions, MaskRcnn, MaskRcnnConfig } from "@mrcnn/model";
import { modelAnchors, observeDetect } from "@mrcnn/model/profile";
import type { DetectStages } from "@mrcnn/model/profile";
import { assignPyramidLevels } from "@mrcnn/roi-align";
import type { Sampling } from "./sampling.ts";

/** A level of the pyramid; without a pyramid, the only feature map. */
export interface Level {
  readonly name: string;
  readonly grid: ImageSize;
  /** Input pixels per feature, down and across. */
  readonly stride: ImageSize;
  /**
   * Mean of the absolute features over the channels, relative to the largest on the level: 0 to 1, [height *
   * width].
   */
  readonly activation: Float32Array;
  /** The highest objectness of the anchors at each position, as probability: [height * width]. */
  readonly objectness: Float32Array;
  /** The anchors of the middle position, xyxy, relative to its own corner. */
  readonly cell: Float32Array;
}

/** Results of every stage of one detection. Boxes are xyxy in pixels of the network's input. */
export interface Inside {
  /** Size of the network's input, with padding. */
  readonly input: ImageSize;
  /** Position of the image in the input. */
  readonly window: ImageSize & { readonly left: number; readonly top: number };
  readonly levels: readonly Level[];
  readonly proposals: {
    readonly boxes: Float32Array;
    readonly scores?: Float32Array | undefined;
    /** Index into `levels` of the level from which each is pooled. */ readonly levels: Uint8Array;
  };
  readonly kept: {
    readonly boxes: Float32Array;
    readonly labels: Int32Array;
    readonly scores: Float32Array;
    readonly levels: Uint8Array;
  };
  /**
   * Probabilities of each kept object's own class before pasting, [side * side] each; absent without a mask
   * head.
   */
  readonly masks?: { readonly side: number; readonly probabilities: Float32Array } | undefined;
  /** How the box head and the mask head sample the features. */
  readonly sampling: { readonly box: Sampling; readonly mask: Sampling };
  /** Duration of each stage, in the order in which they ran. */
  readonly seconds: readonly (readonly [stage: string, seconds: number])[];
}

/** Detects the objects of one image and keeps the results of every stage. */
export async function inspect(model: MaskRcnn, image: RawImage, options: DetectOptions): Promise<Inside> {
  const { config } = model;
  const profile = numericsProfiles[config.numerics];
  const seen: Partial<DetectStages> = {};
  const seconds: [string, number][] = [];
  const activations: Float32Array[] = [];
  let objectness: Float32Array | undefined;
  let counts: readonly number[] = [];
  let sizes: { name: string; grid: ImageSize }[] = [];
  let proposals: Float32Array | undefined;
  let masks: Inside["masks"];
  const lastMap = config.architecture === "c4" ? "layer3" : "layer4";

  const lookAt = async (maps: FeatureMaps): Promise<void> => {
    sizes = [...maps].map(([name, { shape }]) => ({ name, grid: { height: shape[1], width: shape[2] } }));
    for (const map of maps.values()) activations.push(await activationOf(map));
  };
  await observeDetect(
    model,
    [image],
    async (stage, output, took) => {
      seconds.push([stage, took]);
      if (stage === "fpn") await lookAt(output as FeatureMaps);
      else if (stage === lastMap && config.architecture !== "fpn")
        await lookAt(new Map([[lastMap === "layer3" ? "c4" : "c5", output as Tensor4D]]));
      else if (stage === "rpn head") {
        const rpn = output as DetectStages["rpn head"];
        objectness = (await rpn.objectness.data()) as Float32Array;
        counts = rpn.levelCounts;
      } else if (stage === "proposals") {
        const chosen = output as DetectStages["proposals"];
        proposals =
          chosen.boxes instanceof Float32Array ? chosen.boxes : ((await chosen.boxes.data()) as Float32Array);
        Object.assign(seen, { proposals: chosen });
      } else if (stage === "mask head") {
        const own = output as DetectStages["mask head"];
        masks = { side: own.shape[1], probabilities: await read(() => sigmoid(own)) };
      } else if (stage === "resize" || stage === "selection") Object.assign(seen, { [stage]: output });
    },
    options,
  );

  const { batch, windows } = seen.resize!;
  const input = batch.size;
  const anchors = modelAnchors(
    config,
    sizes.map(({ grid }) => grid),
    input,
  );
  // matterport's boxes are fractions until they are detections.
  const inPixels = (boxes: Float32Array): Float32Array =>
    profile.anchors.units === "pixels" ?
      boxes
    : boxes.map((value, i) => (i % 2 === 0 ? value * (input.width - 1) : value * (input.height - 1)));
  const scores = (seen.proposals as Rois & { scores?: Float32Array }).scores;
  const found = seen.selection![0] as BoxDetections;
  const rows = validRows(proposals!);
  const chosen = pick(proposals!, rows);
  const poolable = config.architecture === "fpn" ? sizes.length - 1 : 1;
  const levelsOf = (boxes: Float32Array): Uint8Array =>
    poolable === 1 ?
      new Uint8Array(boxes.length / 4)
    : Uint8Array.from(
        assignPyramidLevels(boxes, {
          minLevel: 2,
          maxLevel: poolable + 1,
          levelRule: profile.levelRule,
          imageSize: input,
        }),
        (level) => level - 2,
      );
  return {
    input,
    window: windows[0]!,
    levels: levelsFrom({
      sizes,
      counts,
      objectness: objectness!,
      activations,
      anchors: inPixels(anchors),
      input,
    }),
    proposals: {
      boxes: inPixels(chosen),
      scores: scores === undefined ? undefined : Float32Array.from(rows, (row) => scores[row]!),
      levels: levelsOf(chosen),
    },
    kept: {
      boxes: inPixels(found.boxes),
      labels: found.labels,
      scores: found.scores,
      levels: levelsOf(found.boxes),
    },
    masks,
    sampling: {
      box: samplingOf(config, config.box.poolSize),
      mask: samplingOf(config, config.maskHead.poolSize),
    },
    seconds,
  };
}

const samplingOf = ({ roiAlign, numerics }: MaskRcnnConfig, bins: number): Sampling => ({
  bins,
  ratio: roiAlign.samplingRatio,
  aligned: roiAlign.aligned,
  method: numericsProfiles[numerics].pooling,
});

// Results kept on the device are padded with rows of negative coordinates; matterport's with empty boxes.
const validRows = (boxes: Float32Array): number[] =>
  Array.from({ length: boxes.length / 4 }, (_, i) => i).filter(
    (i) => boxes[4 * i + 2]! > boxes[4 * i]! && boxes[4 * i]! >= -1e-3,
  );

const pick = (boxes: Float32Array, rows: readonly number[]): Float32Array => {
  const picked = new Float32Array(4 * rows.length);
  for (const [i, row] of rows.entries()) picked.set(boxes.subarray(4 * row, 4 * row + 4), 4 * i);
  return picked;
};

async function read(compute: () => Tensor): Promise<Float32Array> {
  const tensor = tidy(compute);
  try {
    return (await tensor.data()) as Float32Array;
  } finally {
    tensor.dispose();
  }
}

async function activationOf(map: Tensor4D): Promise<Float32Array> {
  const [values, most] = [
    await read(() => squeeze(mean(abs(map), 3), [0])),
    await read(() => max(mean(abs(map), 3))),
  ];
  return values.map((value) => value / (most[0]! || 1));
}

interface LevelParts {
  readonly sizes: readonly { readonly name: string; readonly grid: ImageSize }[];
  readonly counts: readonly number[];
  readonly objectness: Float32Array;
  readonly activations: readonly Float32Array[];
  readonly anchors: Float32Array;
  readonly input: ImageSize;
}

function levelsFrom({ sizes, counts, objectness, activations, anchors, input }: LevelParts): Level[] {
  let at = 0;
  return sizes.map(({ name, grid }, i) => {
    const places = grid.height * grid.width;
    const each = counts[i]! / places;
    const best = new Float32Array(places);
    for (let place = 0; place < places; place++) {
      let logit = -Infinity;
      for (let a = 0; a < each; a++) logit = Math.max(logit, objectness[at + place * each + a]!);
      best[place] = 1 / (1 + Math.exp(-logit));
    }
    const stride = { height: input.height / grid.height, width: input.width / grid.width };
    const middle = Math.floor(grid.height / 2) * grid.width + Math.floor(grid.width / 2);
    const [x, y] = [(middle % grid.width) * stride.width, Math.floor(middle / grid.width) * stride.height];
    const first = 4 * (at + middle * each);
    const cell = anchors.slice(first, first + 4 * each).map((value, k) => value - (k % 2 === 0 ? x : y));
    at += counts[i]!;
    return { name, grid, stride, activation: activations[i]!, objectness: best, cell };
  });
}
