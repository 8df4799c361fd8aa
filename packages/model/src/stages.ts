/**
 * Runs the stages of a walk outside training: holds what they put out until it is released, and tells an
 * observer.
 */
import { keep, slice, tidy } from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import type { BoxDetections, Rois } from "@mrcnn/core";
import type { BoxHeadOutput, FeatureMaps, RoisOnDevice, RpnOutput } from "@mrcnn/core/tensors";
import type { Addition } from "./branches.ts";
import type { StageOutput } from "./context.ts";
import type { NetworkInput } from "./input.ts";

/** What each stage of a detection puts out, in the order they run. */
export interface DetectStages {
  readonly resize: NetworkInput;
  readonly stem: Tensor4D;
  readonly layer1: Tensor4D;
  readonly layer2: Tensor4D;
  readonly layer3: Tensor4D;
  readonly layer4: Tensor4D;
  readonly fpn: FeatureMaps;
  readonly "rpn head": RpnOutput;
  /** On the device where its kernel chose them. */
  readonly proposals: Rois | RoisOnDevice;
  readonly "box pooling": Tensor4D;
  readonly "box head": BoxHeadOutput;
  readonly selection: readonly BoxDetections[];
  readonly "mask pooling": Tensor4D;
  /** Logits of each detection's own class, [R, side, side]. */
  readonly "mask head": Tensor3D;
  /** Masks of each image. */
  readonly paste: readonly Addition[];
  readonly "keypoint pooling": Tensor4D;
  /** Heatmaps of logits, [R, side, side, K]. */
  readonly "keypoint head": Tensor4D;
  /** Keypoints of each image. */
  readonly keypoints: readonly Addition[];
}

/**
 * Told of each stage when it is done, and how many seconds it took. Tensors are the pipeline's: read them at
 * once, or clone them. An observed pipeline waits for the device after each stage, and the whole takes
 * longer.
 */
export type DetectObserver = <S extends keyof DetectStages>(
  stage: S,
  output: DetectStages[S],
  seconds: number,
) => void | Promise<void>;

/** Calls what computes on the device, so that a backend can pretend to compute. */
export type Within = <T>(work: () => T) => T;

/** Runs stages one after the other. */
export interface StageRunner {
  /** Keeps a tensor until it is released. */
  hold<T extends Tensor4D | Tensor2D>(tensor: T): T;
  /** Runs a stage that computes on the device, and holds what it puts out. */
  compute<T extends StageOutput>(stage: string, work: () => T): Promise<T>;
  /** Runs a stage that ends on the host. */
  wait<S extends keyof DetectStages>(
    stage: S,
    work: () => Promise<DetectStages[S]>,
  ): Promise<DetectStages[S]>;
  /** Disposes what a stage put out. */
  release(output: StageOutput): void;
  /** Disposes all that is still held. */
  dispose(): void;
}

/** Makes a runner; with `observe` it waits for the device after each stage and tells of it. */
export function createStageRunner(observe?: DetectObserver, within: Within = (work) => work()): StageRunner {
  const held = new Set<Tensor>();
  const hold = <T extends Tensor>(tensor: T): T => {
    held.add(keep(tensor));
    return tensor;
  };
  const release = (tensors: Iterable<Tensor>): void => {
    for (const tensor of tensors) if (held.delete(tensor)) tensor.dispose();
  };
  const timed = async <T>(stage: string, work: () => T | Promise<T>): Promise<T> => {
    const start = performance.now();
    const output = await work();
    if (observe !== undefined) {
      await settle(tensorsOf(output).at(-1));
      await observe(stage as keyof DetectStages, output as never, (performance.now() - start) / 1000);
    }
    return output;
  };
  const keeping = <T>(work: () => T): T =>
    tidy(() => {
      const output = work();
      tensorsOf(output).forEach(hold);
      return output as never;
    });
  return {
    hold,
    compute: (stage, work) => timed(stage, () => within(() => keeping(work))),
    wait: timed,
    release: (output) => release(tensorsOf(output)),
    dispose: () => release([...held]),
  };
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "dataId" in value;

/** The tensors of a stage's output, in their order. */
export function tensorsOf(output: unknown): Tensor[] {
  if (isTensor(output)) return [output];
  if (output instanceof Map) return [...output.values()].filter(isTensor);
  return typeof output === "object" && output !== null && !ArrayBuffer.isView(output) ?
      Object.values(output).filter(isTensor)
    : [];
}

// Returns when everything up to `tensor` is computed: one of its values is there.
async function settle(tensor: Tensor | undefined): Promise<void> {
  if (tensor === undefined || tensor.size === 0) return;
  const one = slice(
    tensor,
    tensor.shape.map(() => 0),
    tensor.shape.map(() => 1),
  );
  await one.data();
  one.dispose();
}
