/** The worker in which the model runs: everything that computes is here. */
import { isMrcnnError } from "@mrcnn/core";
import type { ImageSize } from "@mrcnn/core";
import { readPageImage } from "@mrcnn/mask-rcnn";
import { decodeRle } from "@mrcnn/masks";
import { loadModel } from "./load-model.ts";
import type { LoadedModel, Settings } from "./load-model.ts";
import { smoothOutlines, traceOutlines } from "./outlines.ts";
import { isOutOfMemory, problemOf } from "./problems.ts";
import type { DetectOptions, Found, FromWorker, ToWorker } from "./protocol.ts";

interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}
const scope = globalThis as unknown as Scope;

let loading: AbortController | undefined;
let loaded: Promise<LoadedModel> | undefined;

scope.onmessage = ({ data }) => {
  switch (data.type) {
    case "load":
      scope.postMessage({ type: "loading", load: data.load });
      void load(data);
      break;
    case "cancel":
      loading?.abort();
      break;
    case "detect":
      void detect(data);
      break;
    case "inspect":
      void look(data);
      break;
  }
};

async function load({ load: number, source, backend }: Extract<ToWorker, { type: "load" }>): Promise<void> {
  const controller = new AbortController();
  loading?.abort();
  loading = controller;
  const before = loaded;
  const { signal } = controller;
  const next = loadModel(source, backend, {
    signal,
    onProgress: ({ bytes, total, rate }) => scope.postMessage({ type: "progress", bytes, total, rate }),
    onLost: (reason) => scope.postMessage({ type: "lost", reason }),
  });
  try {
    const model = await next;
    if (signal.aborted) model.dispose();
    signal.throwIfAborted();
    loaded = next;
    scope.postMessage({ type: "loaded", load: number, model: model.info });
    if (before !== undefined) (await before).dispose();
  } catch (error) {
    // The previous model is kept.
    const isSource = isMrcnnError(error, "weights") || isMrcnnError(error, "config");
    scope.postMessage(
      signal.aborted ?
        { type: "cancelled", load: number }
      : { type: "failed", load: number, problem: problemOf(error, "load"), isSource },
    );
  }
}

async function detect({ id, picture, options }: Extract<ToWorker, { type: "detect" }>): Promise<void> {
  const start = performance.now();
  try {
    const { model } = await current();
    const image = await readPageImage(picture);
    const [detections] = await model.detect([image], await settingsFor(image, options));
    const outlines = (detections!.masks ?? []).map((mask) => smoothOutlines(traceOutlines(decodeRle(mask))));
    const size = { height: image.height, width: image.width };
    const found: Found = {
      size,
      detections: detections!,
      outlines,
      seconds: (performance.now() - start) / 1000,
    };
    const frame = picture instanceof ImageBitmap ? picture : undefined;
    scope.postMessage({ type: "found", id, found, frame }, frame === undefined ? [] : [frame]);
  } catch (error) {
    scope.postMessage({
      type: "failed",
      id,
      problem: problemOf(error, "detect"),
      isOutOfMemory: isOutOfMemory(error),
    });
  }
}

async function look({ id, picture, options }: Extract<ToWorker, { type: "inspect" }>): Promise<void> {
  try {
    const { model } = await current();
    const image = await readPageImage(picture);
    const { inspect } = await import("./inspect.ts");
    scope.postMessage({
      type: "inspected",
      id,
      inside: await inspect(model, image, await settingsFor(image, options)),
    });
  } catch (error) {
    scope.postMessage({
      type: "failed",
      id,
      problem: problemOf(error, "detect"),
      isOutOfMemory: isOutOfMemory(error),
    });
  }
}

function current(): Promise<LoadedModel> {
  if (loaded === undefined) throw new Error("no model is loaded.");
  return loaded;
}

/** Returns the requested settings, else those of the model. */
async function settingsFor(
  { height, width }: ImageSize,
  { minSize, maxDetections }: DetectOptions,
): Promise<Omit<Settings, "nativeSize">> {
  const { settings } = await current();
  const own =
    settings.nativeSize === true ?
      { minSize: Math.min(height, width), maxSize: Math.max(height, width) }
    : settings;
  const sizes = minSize === undefined ? own : { minSize, maxSize: undefined };
  return {
    scoreThreshold: settings.scoreThreshold,
    maxDetections: maxDetections ?? settings.maxDetections,
    minSize: sizes.minSize,
    maxSize: sizes.maxSize,
  };
}
