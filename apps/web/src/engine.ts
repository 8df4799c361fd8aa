/** The page's interface to the worker that runs the model. */
import { chooseBackend } from "./backends.ts";
import type { Inside } from "./inspect.ts";
import type { Problem } from "./problems.ts";
import { problemOf } from "./problems.ts";
import type {
  BackendName,
  DetectOptions,
  Found,
  FromWorker,
  ModelInfo,
  ModelSource,
  Picture,
  ToWorker,
} from "./protocol.ts";

/** Events that the engine reports to the page. */
export interface EngineEvents {
  /** Progress of a download; undefined when there is nothing more to wait for. */
  readonly onProgress: (
    progress: { bytes: number; total?: number | undefined; rate: number } | undefined,
  ) => void;
  readonly onModel: (model: ModelInfo, source: ModelSource) => void;
  readonly onProblem: (problem: Problem) => void;
  /** The GPU was lost: the same model is being loaded on wasm. */
  readonly onLost: (reason: string) => void;
}

/** The answer for an image. */
export interface Answer {
  readonly found: Found;
  /** The bitmap that was passed in, returned. */
  readonly frame?: ImageBitmap | undefined;
}

/** The worker, as seen from the page. */
export interface Engine {
  readonly model: ModelInfo | undefined;
  /** Loads a model. A load in progress is abandoned. When it fails, the previous model is kept. */
  load(source: ModelSource, backend: BackendName | "auto"): Promise<void>;
  /** Stops a load. */
  cancel(): void;
  /**
   * Detects the objects of one image. Concurrent calls run one after the other.
   *
   * @throws EngineProblem.
   */
  detect(picture: Picture, options?: DetectOptions): Promise<Answer>;
  /** Detects as `detect`, and returns the results of every stage. */
  inspect(picture: Picture, options?: DetectOptions): Promise<Inside>;
}

/** A problem as an error. */
export class EngineProblem extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
  }
}

interface Waiting {
  readonly id: number;
  readonly resolve: (answer: Extract<FromWorker, { type: "found" | "inspected" }>) => void;
  readonly reject: (error: EngineProblem) => void;
}

// Time within which an idle worker must acknowledge a load.
const PATIENCE_MS = 4000;

/** Creates an engine. The worker starts with the first load. */
export function createEngine(events: EngineEvents): Engine {
  let worker: Worker | undefined;
  let model: ModelInfo | undefined;
  let working: ModelSource | undefined;
  let last: { source: ModelSource; wanted: BackendName | "auto"; backend: BackendName } | undefined;
  let waiting: Waiting | undefined;
  let settle: (() => void) | undefined;
  let unheard: ReturnType<typeof setTimeout> | undefined;
  // Set while the same model is being loaded into another worker, which is not reported.
  let renewing: { readonly whenDone: Promise<void>; readonly done: () => void } | undefined;
  let count = 0;
  // Number of the load sent last: answers to others are ignored.
  let sent = 0;

  const finish = (): void => {
    clearTimeout(unheard);
    settle?.();
    settle = undefined;
    renewing?.done();
    renewing = undefined;
    events.onProgress(undefined);
  };
  const send = (message: ToWorker): void =>
    worker!.postMessage(
      message,
      "picture" in message && message.picture instanceof ImageBitmap ? [message.picture] : [],
    );

  const sendLoad = ({
    source,
    backend,
  }: {
    readonly source: ModelSource;
    readonly backend: BackendName;
  }): void => send({ type: "load", load: ++sent, source, backend });

  function receive({ data }: MessageEvent<FromWorker>): void {
    if ("load" in data && data.load !== undefined && data.load !== sent) return;
    switch (data.type) {
      case "progress":
        events.onProgress(data);
        break;
      case "loading":
        clearTimeout(unheard);
        break;
      case "loaded": {
        const isSame = renewing !== undefined && working === last!.source;
        model = data.model;
        working = last!.source;
        finish();
        if (!isSame) events.onModel(data.model, working);
        break;
      }
      case "cancelled":
        finish();
        break;
      case "found":
      case "inspected": {
        const one = waiting;
        if (one?.id !== data.id) break;
        waiting = undefined;
        one.resolve(data);
        break;
      }
      case "failed":
        if (data.id === undefined) {
          if (renewing !== undefined) model = undefined;
          finish();
          // When a GPU is present but does not start, wasm is used.
          if (last?.wanted === "auto" && last.backend === "webgpu" && data.isSource !== true)
            void load(last.source, "auto", "wasm");
          else {
            events.onProblem(data.problem);
            // The worker of the last working model is gone, but its source is still available.
            if (model === undefined && working !== undefined && working !== last?.source)
              void load(working, last!.wanted, last!.backend);
          }
        } else if (waiting?.id === data.id) {
          const one = waiting;
          waiting = undefined;
          if (data.isOutOfMemory === true && last?.backend === "wasm") renew();
          one.reject(new EngineProblem(data.problem));
        }
        break;
      case "lost":
        restart(data.reason);
        break;
    }
  }

  // A worker whose memory or GPU is lost can't be repaired.
  function restart(reason: string): void {
    stop({
      title: "The GPU was lost",
      advice: "The model is being loaded on WebAssembly; the picture will be looked at again.",
      detail: reason,
    });
    events.onLost(reason);
    const source = working ?? last?.source;
    if (source !== undefined) void engine.load(source, "wasm");
  }

  // WebAssembly's memory never shrinks, so the model is moved to a new worker. A load in progress is started
  // again.
  function renew(): void {
    if (settle === undefined && working !== undefined) last = { ...last!, source: working };
    let done = (): void => {};
    const whenDone = new Promise<void>((resolve) => (done = resolve));
    renewing = { whenDone, done };
    replace();
  }

  // A computing worker can't be interrupted: another one takes the load. Callers that wait for the old one
  // are told.
  function abandon(): void {
    const one = waiting;
    waiting = undefined;
    model = undefined;
    replace();
    one?.reject(
      new EngineProblem({
        title: "Stopped",
        advice: "Another model was chosen while this picture was looked at.",
        detail: "",
      }),
    );
  }

  function replace(): void {
    worker?.terminate();
    start();
    sendLoad(last!);
  }

  function stop(problem: Problem): void {
    worker?.terminate();
    worker = undefined;
    model = undefined;
    finish();
    waiting?.reject(new EngineProblem(problem));
    waiting = undefined;
  }

  function start(): void {
    worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = receive;
    worker.onerror = ({ message }) => {
      const problem = problemOf(new Error(message || "the worker did not start."), "load");
      stop(problem);
      events.onProblem(problem);
    };
  }

  async function load(
    source: ModelSource,
    wanted: BackendName | "auto",
    backend: BackendName,
  ): Promise<void> {
    // TensorFlow.js keeps its backends for as long as its thread lives.
    if (last !== undefined && last.backend !== backend)
      stop({ title: "Stopped", advice: "Another backend was chosen.", detail: "" });
    last = { source, wanted, backend };
    finish();
    if (worker === undefined) start();
    else if (waiting !== undefined) unheard = setTimeout(abandon, PATIENCE_MS);
    const done = new Promise<void>((resolve) => (settle = resolve));
    sendLoad({ source, backend });
    await done;
  }

  // Requests run one after the other, as TensorFlow.js can't run them concurrently.
  let turn: Promise<unknown> = Promise.resolve();
  function ask(
    message: Extract<ToWorker, { type: "detect" | "inspect" }>,
  ): Promise<Extract<FromWorker, { type: "found" | "inspected" }>> {
    const next = turn.then(async () => {
      await renewing?.whenDone;
      if (worker === undefined)
        throw new EngineProblem({
          title: "No model is loaded",
          advice: "Choose one at the top right.",
          detail: "",
        });
      return new Promise<Extract<FromWorker, { type: "found" | "inspected" }>>((resolve, reject) => {
        waiting = { id: message.id, resolve, reject };
        send(message);
      });
    });
    turn = next.catch(() => {});
    return next;
  }

  const engine: Engine = {
    get model() {
      return model;
    },
    load: async (source, wanted) => load(source, wanted, await chooseBackend(wanted)),
    cancel: () => worker?.postMessage({ type: "cancel" } satisfies ToWorker),
    async detect(picture, options = {}) {
      const { found, frame } = (await ask({ type: "detect", id: ++count, picture, options })) as Extract<
        FromWorker,
        { type: "found" }
      >;
      return { found, frame };
    },
    async inspect(picture, options = {}) {
      return (
        (await ask({ type: "inspect", id: ++count, picture, options })) as Extract<
          FromWorker,
          { type: "inspected" }
        >
      ).inside;
    },
  };
  return engine;
}
