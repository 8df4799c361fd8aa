/** The model's own thread: everything that computes is here. */
import { traceOutlines, smoothOutlines } from "./outlines.ts";
import { loadModel } from "./load-model.ts";
import type { LoadedModel } from "./load-model.ts";
import { problemOf } from "./problems.ts";
import type { Found, FromWorker, ToWorker } from "./protocol.ts";
import { readPageImage } from "@mrcnn/mask-rcnn";
import { decodeRle } from "@mrcnn/masks";

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
      void load(data);
      break;
    case "cancel":
      loading?.abort();
      break;
    case "detect":
      void detect(data);
      break;
  }
};

async function load({ source, backend }: Extract<ToWorker, { type: "load" }>): Promise<void> {
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
    loaded = next;
    scope.postMessage({ type: "loaded", model: model.info });
    if (before !== undefined) (await before).dispose();
  } catch (error) {
    // The model that was there stays.
    scope.postMessage(signal.aborted ? { type: "cancelled" } : { type: "failed", problem: problemOf(error, "load") });
  }
}

async function detect({ id, picture, options }: Extract<ToWorker, { type: "detect" }>): Promise<void> {
  const start = performance.now();
  try {
    if (loaded === undefined) throw new Error("no model is loaded.");
    const { model, settings } = await loaded;
    const image = await readPageImage(picture);
    const size = { height: image.height, width: image.width };
    const sizes = options.minSize !== undefined ? { minSize: options.minSize, maxSize: undefined } : settings.nativeSize ? { minSize: Math.min(size.height, size.width), maxSize: Math.max(size.height, size.width) } : settings;
    const { scoreThreshold } = settings;
    const maxDetections = options.maxDetections ?? settings.maxDetections;
    const [detections] = await model.detect([image], { scoreThreshold, maxDetections, minSize: sizes.minSize, maxSize: sizes.maxSize });
    const outlines = (detections!.masks ?? []).map((mask) => smoothOutlines(traceOutlines(decodeRle(mask))));
    const found: Found = { size, detections: detections!, outlines, seconds: (performance.now() - start) / 1000 };
    const frame = picture instanceof ImageBitmap ? picture : undefined;
    scope.postMessage({ type: "found", id, found, frame }, frame === undefined ? [] : [frame]);
  } catch (error) {
    scope.postMessage({ type: "failed", id, problem: problemOf(error, "detect") });
  }
}
