/** Where detection spends its time: the pipeline of `detect`, stage by stage; apart so that a page that only detects does not ship it. */
import { dispose, keep, sigmoid, slice, tensor4d, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor4D } from "@tensorflow/tfjs-core";
import { applyResnetStage, applyResnetStem } from "@mrcnn/backbones";
import { ConfigError } from "@mrcnn/core";
import type { Detections, FeatureMaps, RawImage } from "@mrcnn/core";
import { applyFpn } from "@mrcnn/fpn";
import { selectDetections } from "@mrcnn/heads";
import { applyRpnHead, selectProposals } from "@mrcnn/rpn";
import { concatRois, detectionConfig, detectKeypoints, inPhotos, prepareInput, values } from "./detect.ts";
import type { DetectOptions } from "./detect.ts";
import type { MaskRcnn } from "./mask-rcnn.ts";
import { resnetConfig } from "./params.ts";
import { applyBoxBranch, applyMaskBranchOfLabels, modelAnchors, normOptions, poolRois, proposalConfig } from "./stages.ts";

/** Of one detection. */
export interface DetectProfile {
  readonly detections: readonly Detections[];
  /**
   * Seconds of each stage, in the order they ran: "resize", "stem", "layer1" to "layer4", "fpn", "rpn head", "proposals", "box pooling",
   * "box head", "selection", "mask pooling", "mask head", "keypoints", "paste", as far as the model has them.
   */
  readonly seconds: ReadonlyMap<string, number>;
}

/**
 * Detects as `model.detect` and times each stage, waiting for the device after it: on a device that computes while
 * the host goes on, the whole takes longer than `model.detect`.
 *
 * @throws ConfigError as `model.detect`, and without images.
 */
export async function profileDetect(model: MaskRcnn, images: readonly RawImage[], options: DetectOptions = {}): Promise<DetectProfile> {
  if (images.length === 0) throw new ConfigError("profileDetect: images must hold at least one.");
  const { config, params } = model;
  const { body, fpn } = params.backbone;
  const resnet = resnetConfig(config);
  const seconds = new Map<string, number>();
  const held: Tensor[] = [];
  const timed = async <T>(stage: string, work: () => T | Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    seconds.set(stage, (performance.now() - start) / 1000);
    return result;
  };
  const onDevice = <T extends object>(stage: string, compute: () => T): Promise<T> =>
    timed(stage, async () => {
      const result = tidy(() => {
        const out = compute();
        held.push(...tensorsOf(out).map(keep));
        return out as never;
      }) as T;
      await settle(tensorsOf(result).at(-1)!);
      return result;
    });

  try {
    const input = await timed("resize", () => prepareInput(config, images, options));
    const { batch, limits } = input;
    const { height, width } = batch.size;
    let y: Tensor4D = await onDevice("stem", () => applyResnetStem(body, resnet, tensor4d(batch.data, [images.length, height, width, 3])));
    const maps = new Map<string, Tensor4D>();
    for (const [i, blocks] of [body.layer1, body.layer2, body.layer3, body.layer4].entries()) {
      if (blocks === undefined) continue;
      y = await onDevice(`layer${i + 1}`, () => applyResnetStage(blocks, resnet, i as 0 | 1 | 2 | 3, y));
      maps.set(`c${i + 2}`, y);
    }
    const features: FeatureMaps = fpn === undefined ? new Map([[...maps].at(-1)!]) : await onDevice("fpn", () => applyFpn(fpn, maps, normOptions(config, config.fpn.norm)));
    const grids = [...features.values()].map(({ shape }) => ({ height: shape[1], width: shape[2] }));
    const rpn = await onDevice("rpn head", () => applyRpnHead(params.rpn.head, features));
    const proposals = await timed("proposals", () =>
      selectProposals(rpn, modelAnchors(config, grids, batch.size), limits, proposalConfig(config, config.rpn.detection)),
    );

    const pooled = await onDevice("box pooling", () => poolRois(config, features, proposals, config.box.poolSize, batch.size));
    const boxes = await onDevice("box head", () => applyBoxBranch(config, params, pooled, "running"));
    const found = await timed("selection", () => selectDetections(boxes, proposals, limits, detectionConfig(config, input, options)));

    const rois = concatRois(found.map((one) => one.boxes));
    const labels = Int32Array.from(found.flatMap((one) => [...one.labels]));
    let probabilities: Float32Array | undefined = config.mask ? new Float32Array(0) : undefined;
    if (config.mask && labels.length > 0) {
      const seen = await onDevice("mask pooling", () => poolRois(config, features, rois, config.maskHead.poolSize, batch.size));
      probabilities = await timed("mask head", () => values(() => sigmoid(applyMaskBranchOfLabels(config, params, seen, labels))));
    }
    const keypoints = config.keypoints.length === 0 ? undefined : await timed("keypoints", () => detectKeypoints(config, params, features, rois, batch.size));
    const detections = await timed("paste", () => inPhotos(config, images, input, found, { probabilities, keypoints }));
    return { detections, seconds };
  } finally {
    dispose(held);
  }
}

const isTensor = (value: unknown): value is Tensor => typeof value === "object" && value !== null && "dataId" in value;
const tensorsOf = (result: object): Tensor[] =>
  isTensor(result) ? [result] : result instanceof Map ? ([...result.values()] as Tensor[]) : Object.values(result).filter(isTensor);

// Returns when everything up to `tensor` is computed: one of its values is there.
async function settle(tensor: Tensor): Promise<void> {
  if (tensor.size === 0) return;
  const one = slice(tensor, tensor.shape.map(() => 0), tensor.shape.map(() => 1));
  await one.data();
  one.dispose();
}
