/**
 * Detection: a walk that proposes regions, chooses the best objects by class, and reads their masks and
 * keypoints.
 */
import { assertOptions } from "@mrcnn/core";
import type { BoxDetections, Detections, RawImage, Rois } from "@mrcnn/core";
import { selectDetections } from "@mrcnn/heads";
import type { DetectionConfig } from "@mrcnn/heads";
import { selectProposals, selectProposalsOnDevice } from "@mrcnn/rpn";
import type { Addition, Found, Placed } from "./branches.ts";
import type { MaskRcnnConfig } from "./config.ts";
import type { Answer, Context } from "./context.ts";
import { watchOutputs } from "./finite-outputs.ts";
import type { FiniteOutputs } from "./finite-outputs.ts";
import { assertSizesAgree, detectRules, prepareInput } from "./input.ts";
import type { DetectOptions, NetworkInput } from "./input.ts";
import { numericsProfiles } from "./numerics.ts";
import { partsOf, proposalConfig } from "./parts.ts";
import type { Model } from "./parts.ts";
import { createStageRunner } from "./stages.ts";
import type { DetectObserver, StageRunner } from "./stages.ts";
import { toFractions, toPhoto } from "./to-photo.ts";
import { walk } from "./walk.ts";

/**
 * Finds objects in photos. Whose rules decide each step is in `config.numerics`. The host waits for the box
 * head and the last branch, and before for the RPN where the backend has no kernel that chooses proposals.
 *
 * @throws ConfigError for options that can't be meant; WeightsError when the network puts out NaN or
 *   infinity.
 */
export async function detect(
  model: Model,
  images: readonly RawImage[],
  options: DetectOptions = {},
  observe?: DetectObserver,
): Promise<Detections[]> {
  assertOptions(options, detectRules, "detect");
  assertSizesAgree(options, "detect");
  if (images.length === 0) return [];
  const stages = createStageRunner(observe);
  const outputs = watchOutputs();
  try {
    const input = await stages.wait("resize", async () => prepareInput(model.config, images, options));
    const inTurn = observe !== undefined;
    return await walk(
      model,
      input.batch,
      detection(model, images, input, { options, stages, outputs, inTurn }),
    );
  } finally {
    stages.dispose();
    outputs.dispose();
  }
}

/** What a walk that reads detections works with. */
export interface Tools {
  readonly stages: StageRunner;
  readonly outputs: FiniteOutputs;
  /** Whether branches are read one after the other, not at once. */
  readonly inTurn: boolean;
}

function detection(
  model: Model,
  images: readonly RawImage[],
  input: NetworkInput,
  { options, ...tools }: Tools & { readonly options: DetectOptions },
): Context<Detections[]> {
  const { config } = model;
  const { stages, outputs } = tools;
  const { limits } = input;
  let placed: readonly Placed[] = [];
  return {
    ...stages,
    statistics: "running",
    regions: (rpn, anchors) =>
      stages.wait("proposals", async () => {
        await outputs.see("objectness", rpn.objectness);
        await outputs.see("proposals' box deltas", rpn.deltas);
        const choose = proposalConfig(config, config.rpn.detection);
        const chosen = selectProposalsOnDevice(rpn, anchors, limits, choose);
        if (chosen === undefined) return selectProposals(rpn, anchors, limits, choose);
        stages.hold(chosen.boxes);
        return chosen;
      }),
    async chooseObjects(boxes, regions) {
      const found = await stages.wait("selection", async () => {
        await outputs.see("class scores", boxes.classLogits);
        await outputs.see("box deltas", boxes.deltas);
        const [selected] = await all([
          selectDetections(boxes, regions, limits, detectionConfig(config, input, options)),
          outputs.settle(),
        ]);
        return selected;
      });
      placed = inPhotos(config, images, input, found);
      const labels = Int32Array.from(found.flatMap((one) => [...one.labels]));
      return { rois: concatRois(found.map((one) => one.boxes)), labels, none: labels.length === 0 };
    },
    async finish(answers, { rois }) {
      const additions = await readAnswers(model, answers, { rois, placed }, tools);
      return placed.map(({ boxes, labels, scores, imageSize }, i) => ({
        boxes,
        labels,
        scores,
        imageSize,
        ...additions[i],
      }));
    },
  };
}

/**
 * Reads what the branches put out: what the detections of each image gain.
 *
 * @throws WeightsError for what is not finite.
 */
export async function readAnswers(
  model: Model,
  answers: readonly Answer[],
  found: Found,
  { stages, outputs, inTurn }: Tools,
): Promise<Addition[]> {
  const { branches } = partsOf(model, "running");
  const nothing = Object.assign({}, ...branches.map((branch) => branch.nothing)) as Addition;
  const read = async ({ branch, output }: Answer): Promise<readonly Addition[]> => {
    await outputs.see(branch.output, output);
    const reading = stages.wait(branch.reading, async () => {
      const { tensor, finish } = branch.read(output, found);
      stages.release(output);
      try {
        return finish((await tensor.data()) as Float32Array | Int32Array);
      } finally {
        tensor.dispose();
      }
    });
    return (await all([reading, outputs.settle()]))[0];
  };
  const own: (readonly Addition[])[] = [];
  if (inTurn) for (const answer of answers) own.push(await read(answer));
  // All are on their way before the host waits for any.
  else own.push(...(await all(answers.map(read))));
  return found.placed.map(
    (_, i) => Object.assign({}, nothing, ...own.map((additions) => additions[i])) as Addition,
  );
}

// All, or the error of one when none works any more on what is let go of then.
async function all<T extends readonly unknown[]>(promises: {
  readonly [I in keyof T]: Promise<T[I]>;
}): Promise<T> {
  await Promise.allSettled(promises);
  return (await Promise.all(promises)) as unknown as T;
}

/** Joins the RoIs of several images into one list. */
export function concatRois(perImage: readonly Float32Array[]): Rois {
  const count = perImage.reduce((n, boxes) => n + boxes.length / 4, 0);
  const boxes = new Float32Array(count * 4);
  const imageIndex = new Int32Array(count);
  let at = 0;
  perImage.forEach((own, image) => {
    boxes.set(own, at * 4);
    imageIndex.fill(image, at, at + own.length / 4);
    at += own.length / 4;
  });
  return { boxes, imageIndex };
}

function inPhotos(
  { numerics }: MaskRcnnConfig,
  images: readonly RawImage[],
  { batch, windows }: NetworkInput,
  found: readonly BoxDetections[],
): Placed[] {
  let first = 0;
  return found.map((detections, i) => {
    const imageSize = { height: images[i]!.height, width: images[i]!.width };
    const window = windows[i]!;
    const { kept, ...photo } = toPhoto(numericsProfiles[numerics].boxes, detections, {
      window,
      input: batch.imageSizes[i]!,
      photo: imageSize,
    });
    const rows = kept.map((row) => first + row);
    first += detections.labels.length;
    return { ...photo, imageSize, window, rows };
  });
}

/** What counts as a detection. */
export function detectionConfig(
  { box, numerics }: MaskRcnnConfig,
  { windows, batch }: NetworkInput,
  options: DetectOptions = {},
): DetectionConfig {
  const { detections, anchors, decoding } = numericsProfiles[numerics];
  return {
    ...detections,
    scoreThreshold: options.scoreThreshold ?? box.scoreThreshold,
    nmsThreshold: box.nmsThreshold,
    maxDetections: options.maxDetections ?? box.maxDetections,
    minSize: box.minSize,
    weights: box.weights,
    decoding,
    // The photos as fractions of their images.
    ...(anchors.units === "fractions" && {
      windows: Float32Array.from(
        windows.flatMap((window, i) => [...toFractions(window, batch.imageSizes[i]!)]),
      ),
    }),
  };
}
