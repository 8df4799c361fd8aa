/** The page: connects the model, the images and the controls. */
import { toJson } from "@mrcnn/core";
import { backends } from "./backends.ts";
import { byId, make, megabytes, plural } from "./dom.ts";
import { createEngine, EngineProblem } from "./engine.ts";
import { cocoOf, cutOut, pngOf, save, stemOf } from "./export.ts";
import { filesOfInput, filesOfTransfer, sortFiles } from "./files.ts";
import { createGallery } from "./gallery.ts";
import type { Entry } from "./gallery.ts";
import { startLive } from "./live.ts";
import type { Live } from "./live.ts";
import type { InsideView } from "./inside-view.ts";
import { createModelDialog } from "./model-dialog.ts";
import { keepOffline } from "./offline.ts";
import { createPanel, passing, titleOf } from "./panel.ts";
import type { Problem } from "./problems.ts";
import { problemOf } from "./problems.ts";
import type { BackendName, Found, ModelSource, PathFile } from "./protocol.ts";
import { samples } from "./samples.ts";
import { createStage } from "./stage.ts";

const canvas = byId("canvas", HTMLCanvasElement);
const video = byId("video", HTMLVideoElement);
const backend = byId("backend", HTMLSelectElement);
const stageElement = byId("stage", HTMLElement);
const camera = byId("camera", HTMLButtonElement);

// The model that comes with the page.
const bundled: ModelSource = { kind: "url", weights: "nuclei" };
// The model requested last, and the one that is loaded.
let wanted: ModelSource = bundled;
let source: ModelSource = bundled;
let selected: number | undefined;
let hovered: number | undefined;
let live: Live | undefined;
let liveStop: (() => void) | undefined;
let liveFrame: { image: ImageBitmap; found: Found } | undefined;
let note: string | undefined;

const engine = createEngine({
  onProgress(progress) {
    byId("progress", HTMLDivElement).hidden = progress === undefined;
    if (progress === undefined) return;
    const { bytes, total, rate } = progress;
    const bar = byId("bar", HTMLProgressElement);
    if (total === undefined) bar.removeAttribute("value");
    else bar.value = bytes / total;
    byId("progress-text", HTMLLabelElement).textContent =
      `Loading the model: ${megabytes(bytes)}${total === undefined ? "" : ` of ${megabytes(total)}`}${rate > 0 ? `, ${megabytes(rate)}/s` : ""}`;
  },
  onModel(model, from) {
    source = from;
    byId("model-name", HTMLSpanElement).textContent = model.name;
    byId("choose-model", HTMLButtonElement).title =
      `${model.name}: ${(model.parameters / 1e6).toFixed(1)} M parameters, ${plural(model.categories.length, "class")}, on ${titleOf(model)}`;
    setStatus(
      `Ready on ${titleOf(model)}${model.assumed.length === 0 ? "" : `, with ${plural(model.assumed.length, "setting")} assumed: listed beside the picture`}.`,
    );
    backend.options[0]!.textContent =
      backend.value === "auto" ? `Automatic: ${titleOf(model).split(",")[0]}` : "Automatic";
    insideView?.close();
    panel.setModel(model);
    gallery.renew();
  },
  onProblem: (problem) => {
    setStatus(engine.model === undefined ? "" : `Still ${engine.model.name}.`);
    report(problem, () => void load(wanted));
  },
  onLost(reason) {
    setStatus("The GPU was lost; going on with WebAssembly.");
    backend.value = "wasm";
    report({
      title: "The graphics device was lost",
      advice: "The page goes on with WebAssembly. Choose WebGPU again at the top right to go back.",
      detail: reason,
    });
  },
});

const gallery = createGallery({
  detect: (picture) => engine.detect(picture, panel.options),
  isReady: () => engine.model !== undefined && live === undefined,
  onChange: render,
  onProblem: (problem) => report(problem),
});

const panel = createPanel({
  onView: render,
  onSelect: select,
  onHover: hover,
  onOptions: () => gallery.renew(),
});

const stage = createStage(canvas, {
  onHover: hover,
  onSelect: select,
  onStep(by) {
    const found = foundNow();
    const shown = found === undefined ? [] : passing(found, panel.filter);
    if (shown.length === 0) return;
    const at =
      selected === undefined ?
        by === 1 ?
          -1
        : 0
      : shown.indexOf(selected);
    select(shown[(at + by + shown.length) % shown.length]);
  },
});

let insideView: InsideView | undefined;

/** Runs the model on the image again, and shows the results of every stage. */
async function lookInside(): Promise<void> {
  const { current } = gallery;
  if (current?.found === undefined || live !== undefined) return;
  const button = byId("look-inside", HTMLButtonElement);
  button.disabled = true;
  button.textContent = "Looking inside …";
  try {
    const [{ createInsideView }, inside] = await Promise.all([
      import("./inside-view.ts"),
      engine.inspect(current.blob, panel.options),
    ]);
    insideView ??= createInsideView(() => {
      render();
      button.focus();
    });
    const { image } = gallery;
    if (
      gallery.current !== current ||
      image === undefined ||
      current.found === undefined ||
      engine.model === undefined
    )
      return;
    insideView.open(
      { image, found: current.found, inside, names: engine.model.categories.map(({ name }) => name) },
      selected,
    );
    render();
  } catch (error) {
    report(error instanceof EngineProblem ? error.problem : problemOf(error, "detect"));
  } finally {
    button.disabled = false;
    button.textContent = "Look inside";
  }
}

const modelDialog = createModelDialog(bundled, (next) => void load(next));

const foundNow = (): Found | undefined => liveFrame?.found ?? gallery.current?.found;

function select(object: number | undefined): void {
  selected = object;
  render();
}
function hover(object: number | undefined): void {
  if (hovered === object) return;
  hovered = object;
  canvas.style.cursor = object === undefined ? "" : "pointer";
  render();
}

/** Shows a status text. Texts that change constantly are not read aloud. */
function setStatus(text: string, { isSpoken = true } = {}): void {
  const status = byId("status", HTMLParagraphElement);
  status.ariaLive = isSpoken ? "polite" : "off";
  status.textContent = text;
}

function report({ title, advice, detail }: Problem, retry?: () => void): void {
  byId("problem-title", HTMLElement).textContent = title;
  byId("problem-advice", HTMLParagraphElement).textContent = advice;
  byId("problem-detail", HTMLParagraphElement).textContent = detail;
  const button = byId("retry", HTMLButtonElement);
  button.hidden = retry === undefined;
  button.onclick = () => {
    byId("problem", HTMLDivElement).hidden = true;
    retry?.();
  };
  byId("problem", HTMLDivElement).hidden = false;
}

async function load(next: ModelSource): Promise<void> {
  wanted = next;
  setStatus("Loading the model …");
  await engine.load(next, backend.value as BackendName | "auto");
  if (
    engine.model !== undefined &&
    byId("status", HTMLParagraphElement).textContent === "Loading the model …"
  )
    setStatus(`Still ${engine.model.name}.`);
}

function render(): void {
  const { current, entries } = gallery;
  const image = liveFrame?.image ?? gallery.image;
  const found = foundNow();
  const shown = found === undefined ? [] : passing(found, panel.filter);
  if (selected !== undefined && !shown.includes(selected)) selected = undefined;
  if (hovered !== undefined && !shown.includes(hovered)) hovered = undefined;
  const isBusy = current?.state === "running" || current?.state === "waiting";
  note =
    live === undefined && isBusy ?
      engine.model === undefined ?
        "Waiting for the model …"
      : "Looking …"
    : live === undefined && current?.state === "failed" ? "This picture could not be looked at."
    : undefined;
  stageElement.classList.toggle("busy", image === undefined || isBusy || live !== undefined);
  byId("welcome", HTMLDivElement).hidden = image !== undefined || live !== undefined;
  const isInside = insideView?.isOpen === true;
  stageElement.hidden = isInside;
  byId("panel", HTMLElement).hidden = image === undefined || isInside;
  byId("look-inside", HTMLButtonElement).hidden = live !== undefined || current?.found === undefined;
  canvas.hidden = image === undefined;
  video.hidden = live === undefined || liveFrame !== undefined;
  const { model } = engine;
  stage.show(
    image === undefined ? undefined : (
      { image, found, model, view: { ...panel.show, shown, selected, hovered } }
    ),
  );
  panel.update({ model, found, shown, selected, note });
  canvas.setAttribute(
    "aria-label",
    image === undefined ? "No picture yet" : (
      `${current?.name ?? "Live picture"}: ${found === undefined ? (note ?? "") : describe(found, shown)}`
    ),
  );
  canvas.dataset["state"] = live !== undefined ? "live" : (current?.state ?? "none");
  renderStrip(entries, current);
}

/** Summarises the shown objects: "3 objects: 2 cat, 1 dog". */
function describe({ detections: { labels } }: Found, shown: readonly number[]): string {
  const counts = new Map<string, number>();
  for (const i of shown) {
    const name = engine.model?.categories[labels[i]! - 1]?.name ?? "object";
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return `${plural(shown.length, "object")}${counts.size === 0 ? "" : `: ${[...counts].map(([name, count]) => `${count} ${name}`).join(", ")}`}. Arrow keys go through them.`;
}

const tiles = new Map<Entry, HTMLButtonElement>();
function renderStrip(entries: readonly Entry[], current: Entry | undefined): void {
  const strip = byId("strip", HTMLElement);
  strip.hidden = entries.length < 2;
  for (const [entry, tile] of tiles) {
    if (entries.includes(entry)) continue;
    tile.remove();
    tiles.delete(entry);
  }
  for (const entry of entries) {
    let tile = tiles.get(entry);
    if (tile === undefined) {
      tile = make(
        "button",
        { type: "button", title: entry.name, onclick: () => openEntry(entry) },
        entry.thumbnail,
        make("small"),
      );
      tile.addEventListener("keydown", ({ key }) => {
        if (key === "Delete" || key === "Backspace") gallery.remove(entry);
      });
      tiles.set(entry, tile);
      strip.append(tile);
    }
    const text =
      entry.state === "done" ?
        String(passing(entry.found!, panel.filter).length)
      : { waiting: "", running: "…", failed: "!" }[entry.state];
    tile.lastElementChild!.textContent = text;
    tile.ariaLabel = `${entry.name}, ${entry.state === "done" ? plural(Number(text), "object") : entry.state}`;
    tile.setAttribute("aria-current", String(entry === current && live === undefined));
  }
}

async function openSample(url: URL, name: string): Promise<void> {
  try {
    await gallery.open([{ name, blob: await (await fetch(url)).blob() }]);
  } catch (error) {
    report(problemOf(error, "image"));
  }
}

function openEntry(entry: Entry): void {
  insideView?.close();
  stopLive();
  selected = undefined;
  void gallery.show(entry).catch((error: unknown) => report(problemOf(error, "image")));
}

async function openFiles(files: readonly PathFile[]): Promise<void> {
  const { images, videos, model, others } = sortFiles(files);
  if (model.length > 0) void load({ kind: "files", files: model });
  if (images.length > 0) {
    insideView?.close();
    stopLive();
    selected = undefined;
    await gallery.open(images.map((file) => ({ name: file.name, blob: file })));
  }
  if (videos.length > 0) await watch(videos[0]);
  if (others.length > 0 && images.length + videos.length + model.length === 0) {
    report({
      title: "This file can't be used",
      advice:
        "Pictures, videos, and weights (.pth, .pkl, .h5, .safetensors) work, and the folder of a training.",
      detail: others.map(({ path }) => path).join(", "),
    });
  }
}

function stopLive(): void {
  liveStop?.();
}

/** Starts detection in the camera's stream, or in a video file. */
async function watch(file?: Blob): Promise<void> {
  insideView?.close();
  stopLive();
  let isStopped = false;
  const end = (): void => {
    isStopped = true;
    live = undefined;
    liveStop = undefined;
    liveFrame?.image.close();
    liveFrame = undefined;
    camera.setAttribute("aria-pressed", "false");
    if (engine.model !== undefined) setStatus(`Ready on ${titleOf(engine.model)}.`);
    render();
    void gallery.run();
  };
  try {
    setStatus(file === undefined ? "Starting the camera …" : "Opening the video …");
    const started = await startLive(video, file, {
      async onFrame(frame) {
        await gallery.run();
        const { model } = engine;
        if (model === undefined) {
          frame.close();
          await new Promise((resolve) => setTimeout(resolve, 50));
          return;
        }
        const { found, frame: back } = await engine.detect(frame, panel.options);
        if (isStopped || back === undefined) {
          back?.close();
          return;
        }
        liveFrame?.image.close();
        liveFrame = { image: back, found };
        render();
      },
      onRate: (rate) => setStatus(`Live: ${rate.toFixed(1)} frames per second`, { isSpoken: false }),
      onError: (error) => report(error instanceof EngineProblem ? error.problem : problemOf(error, "detect")),
      onEnd: end,
    });
    if (isStopped) return;
    live = started;
    liveStop = () => started.stop();
    camera.setAttribute("aria-pressed", String(file === undefined));
    render();
  } catch (error) {
    setStatus("");
    report(problemOf(error, file === undefined ? "camera" : "image"));
  }
}

/** Runs the action of an export button, and reports its errors. */
async function exporting(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    report({
      title: "That could not be saved",
      advice: "Try another form, or a smaller picture.",
      detail: error instanceof Error ? error.message : String(error),
    });
  }
}

function nowShown(): { image: ImageBitmap; found: Found; shown: number[]; name: string } | undefined {
  const image = liveFrame?.image ?? gallery.image;
  const found = foundNow();
  return image === undefined || found === undefined ?
      undefined
    : {
        image,
        found,
        shown: passing(found, panel.filter),
        name: live === undefined ? gallery.current!.name : "live",
      };
}
const picturePng = (): Promise<Blob> => {
  const { image, found, shown } = nowShown()!;
  return pngOf(image, found, { ...panel.show, shown, selected }, engine.model!);
};
byId("save-png", HTMLButtonElement).addEventListener(
  "click",
  () => void exporting(async () => save(await picturePng(), `${stemOf(nowShown()!.name)}-objects.png`)),
);
byId("copy", HTMLButtonElement).addEventListener(
  "click",
  () =>
    void exporting(async () => {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picturePng() })]);
      setStatus("Copied.");
    }),
);
byId("save-cutout", HTMLButtonElement).addEventListener(
  "click",
  () =>
    void exporting(async () => {
      const { image, found, shown, name } = nowShown()!;
      save(
        await cutOut(image, found, selected === undefined ? shown : [selected]),
        `${stemOf(name)}-cutout.png`,
      );
    }),
);
byId("save-coco", HTMLButtonElement).addEventListener(
  "click",
  () =>
    void exporting(async () => {
      const now = nowShown()!;
      const all =
        live === undefined ?
          gallery.entries.flatMap(({ name, found }) =>
            found === undefined ? [] : [{ name, found, shown: passing(found, panel.filter) }],
          )
        : [now];
      save(
        new Blob([toJson(cocoOf(all, engine.model!.categories))], { type: "application/json" }),
        `${all.length === 1 ? stemOf(all[0]!.name) : "pictures"}.coco.json`,
      );
    }),
);

const files = byId("files", HTMLInputElement);
for (const id of ["open", "browse"])
  byId(id, HTMLButtonElement).addEventListener("click", () => files.click());
files.addEventListener("change", () => {
  const chosen = filesOfInput(files);
  files.value = "";
  void openFiles(chosen);
});
camera.addEventListener("click", () => {
  if (camera.getAttribute("aria-pressed") === "true") stopLive();
  else void watch();
});
byId("look-inside", HTMLButtonElement).addEventListener("click", () => void lookInside());
byId("choose-model", HTMLButtonElement).addEventListener("click", () => modelDialog.open());
byId("cancel", HTMLButtonElement).addEventListener("click", () => {
  engine.cancel();
  setStatus("Stopped. What has come is kept.");
});
byId("dismiss", HTMLButtonElement).addEventListener(
  "click",
  () => (byId("problem", HTMLDivElement).hidden = true),
);
backend.addEventListener("change", () => void load(engine.model === undefined ? wanted : source));

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  stageElement.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) stageElement.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  stageElement.classList.remove("over");
  byId("model-dialog", HTMLDialogElement).close();
  if (event.dataTransfer !== null) void filesOfTransfer(event.dataTransfer).then(openFiles);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData !== null && event.clipboardData.files.length > 0)
    void filesOfTransfer(event.clipboardData).then(openFiles);
});

void keepOffline(() => gallery.entries.length === 0 && live === undefined);
for (const { name, title } of backends)
  backend.append(
    make("option", { value: name, textContent: title, disabled: name === "webgpu" && !("gpu" in navigator) }),
  );
byId("samples", HTMLDivElement).append(...samples((url, name) => void openSample(url, name)));
render();
void load(source);
