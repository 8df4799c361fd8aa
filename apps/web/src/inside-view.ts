/** The view of a detection's stages, step by step. */
import { byId, make, plural, seconds } from "./dom.ts";
import { colorOf, pathOf } from "./draw.ts";
import type { Inside, Level } from "./inspect.ts";
import type { Found } from "./protocol.ts";
import { samplingPoints } from "./sampling.ts";

/** An image with the results of every stage of its detection. */
export interface InsideScene {
  readonly image: ImageBitmap;
  readonly found: Found;
  readonly inside: Inside;
  /** Class names: that of label `l` at `l - 1`. */
  readonly names: readonly string[];
}

/** The view of the pipeline on an image, step by step. */
export interface InsideView {
  readonly isOpen: boolean;
  open(scene: InsideScene, object?: number): void;
  close(): void;
}

/** A step of the pipeline: its view and its text. */
interface Step {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  /** The controls that are shown below the step. */
  readonly controls: readonly ("level" | "count" | "object" | "head")[];
  facts(scene: InsideScene): string;
}

const size = ({ width, height }: { width: number; height: number }): string =>
  `${Math.round(width)} × ${Math.round(height)}`;

/** The current choices: the object, the number of proposals, and so on. */
interface Choice {
  level: number;
  count: number;
  object: number;
  head: "box" | "mask";
}

const MARGIN = 20;
const MASK_THRESHOLD = 0.5;

/** Creates the view in the elements inside #inside. `onClose` is called when the user leaves it. */
export function createInsideView(onClose: () => void): InsideView {
  const canvas = byId("inside-canvas", HTMLCanvasElement);
  const tabs = byId("inside-tabs", HTMLDivElement);
  const controls = byId("step-controls", HTMLDivElement);
  const choice: Choice = { level: 0, count: 50, object: 0, head: "box" };
  let scene: InsideScene | undefined;
  let step: Step;
  let pointer: { x: number; y: number } | undefined;

  const steps: readonly Step[] = [
    {
      id: "input",
      title: "Input",
      text: "The photo is resized, its colours are brought to mean 0 and deviation 1, and it is padded so that every level of the pyramid has whole features.",
      controls: [],
      facts: ({ image, inside }) =>
        `${size(image)} pixels become ${size(inside.window)}, padded to ${size(inside.input)}.`,
    },
    {
      id: "features",
      title: "Feature pyramid",
      text: "A ResNet and the pyramid on top of it turn the input into maps of features, fine ones for small objects and coarse ones for large. Bright is where a level answers strongly.",
      controls: ["level"],
      facts: ({ inside }) => levelFact(inside.levels[choice.level]!),
    },
    {
      id: "anchors",
      title: "Anchors and objectness",
      text: "At every place of a level stand a few boxes of fixed sizes. The region proposal network says of each whether an object is there (bright), and how to move it. Move over the picture to see a place's anchors.",
      controls: ["level"],
      facts({ inside: { levels } }) {
        const { name, cell, grid } = levels[choice.level]!;
        const sides = Array.from({ length: cell.length / 4 }, (_, i) =>
          size({ width: cell[4 * i + 2]! - cell[4 * i]!, height: cell[4 * i + 3]! - cell[4 * i + 1]! }),
        );
        return `${name}: ${sides.length} anchors at each of ${size(grid)} places: ${sides.join(", ")} pixels.`;
      },
    },
    {
      id: "proposals",
      title: "Proposals",
      text: "The surest boxes, moved to where the network says, without those that overlap a better one. Their colour is the level that the heads will read them from, by their size.",
      controls: ["count"],
      facts({ inside: { proposals, levels } }) {
        const counts = levels
          .map(({ name }, i) => [name, proposals.levels.filter((level) => level === i).length] as const)
          .filter(([, count]) => count > 0);
        return `${plural(proposals.boxes.length / 4, "proposal")}: ${counts.map(([name, count]) => `${count} from ${name}`).join(", ")}.`;
      },
    },
    {
      id: "roi",
      title: "RoIAlign",
      text: "A head wants every box in the same size. RoIAlign cuts the box into bins and averages features that are interpolated at a few points of each, without rounding anything. The thin lines are the level's features. Click another object to see its points.",
      controls: ["object", "head"],
      facts({ inside }) {
        const { kept, levels, sampling } = inside;
        if (kept.labels.length === 0) return "Nothing was found.";
        const own = sampling[choice.head];
        const level = levels[kept.levels[choice.object]!]!;
        const { xs, ys } = samplingPoints(boxAt(kept.boxes, choice.object), level.stride.width, own);
        return `${own.bins} × ${own.bins} bins on ${level.name}, whose features are ${level.stride.width} pixels wide; ${xs.length * ys.length} points${own.aligned ? ", aligned to the features' middles" : ""}.`;
      },
    },
    {
      id: "mask",
      title: "Mask",
      text: "For each class the mask head draws the object as a small square of probabilities. That of the object's own class is stretched over its box; what is above one half is the mask (line).",
      controls: ["object"],
      facts({ inside: { masks, kept } }) {
        if (masks === undefined) return "This model has no mask head.";
        if (kept.labels.length === 0) return "Nothing was found.";
        const own = masks.probabilities.subarray(
          choice.object * masks.side ** 2,
          (choice.object + 1) * masks.side ** 2,
        );
        return `${masks.side} × ${masks.side} probabilities, ${own.filter((p) => p >= MASK_THRESHOLD).length} of them at least one half.`;
      },
    },
    {
      id: "times",
      title: "Time",
      text: "What each stage took. While it is watched like this, the device is waited for after each of them, and the whole takes a little longer.",
      controls: [],
      facts: ({ inside }) => `${seconds(inside.seconds.reduce((sum, [, took]) => sum + took, 0))} together.`,
    },
  ];
  step = steps[0]!;

  tabs.append(
    ...steps.map((one) => {
      const tab = make("button", {
        type: "button",
        role: "tab",
        id: `tab-${one.id}`,
        textContent: one.title,
        onclick: () => go(one),
      });
      tab.setAttribute("aria-controls", "inside-step");
      return tab;
    }),
  );
  tabs.addEventListener("keydown", ({ key }) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[key];
    if (by === undefined) return;
    go(steps[(steps.indexOf(step) + by + steps.length) % steps.length]!);
    document.getElementById(`tab-${step.id}`)!.focus();
  });
  byId("inside-close", HTMLButtonElement).addEventListener("click", () => view.close());
  byId("inside", HTMLElement).addEventListener("keydown", ({ key }) => {
    if (key === "Escape") view.close();
  });
  canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
    pointer = { x: offsetX, y: offsetY };
    if (step.id === "anchors") draw();
  });
  canvas.addEventListener("pointerleave", () => {
    pointer = undefined;
    if (step.id === "anchors") draw();
  });
  canvas.addEventListener("click", ({ offsetX, offsetY }) => {
    if (scene === undefined || !step.controls.includes("object")) return;
    const { scale, x, y } = placement();
    const at = { x: (offsetX - x) / scale, y: (offsetY - y) / scale };
    const { boxes, labels } = scene.inside.kept;
    const inBox = Array.from(labels.keys()).filter((i) => {
      const [x1, y1, x2, y2] = boxAt(boxes, i);
      return at.x >= x1 && at.x <= x2 && at.y >= y1 && at.y <= y2;
    });
    const [next] = inBox.toSorted((a, b) => areaOf(boxAt(boxes, a)) - areaOf(boxAt(boxes, b)));
    if (next !== undefined) choose({ object: next });
  });
  new ResizeObserver(() => draw()).observe(canvas);

  function go(next: Step): void {
    step = next;
    update();
  }
  function choose(next: Partial<Choice>): void {
    Object.assign(choice, next);
    update();
  }

  function update(): void {
    if (scene === undefined) return;
    for (const tab of tabs.children) {
      const isSelected = tab.id === `tab-${step.id}`;
      tab.ariaSelected = String(isSelected);
      (tab as HTMLButtonElement).tabIndex = isSelected ? 0 : -1;
    }
    byId("inside-step", HTMLDivElement).setAttribute("aria-labelledby", `tab-${step.id}`);
    byId("step-title", HTMLHeadingElement).textContent = step.title;
    byId("step-text", HTMLParagraphElement).textContent = step.text;
    const facts = step.facts(scene);
    byId("step-facts", HTMLParagraphElement).textContent = facts;
    canvas.setAttribute("aria-label", `${step.title}: ${facts}`);
    controls.replaceChildren(...step.controls.map((kind) => controlOf(kind, scene!)));
    const isTimes = step.id === "times";
    canvas.hidden = isTimes;
    byId("inside-times", HTMLDivElement).hidden = !isTimes;
    if (isTimes) drawTimes(scene);
    else draw();
  }

  function controlOf(kind: Step["controls"][number], { inside, names }: InsideScene): HTMLElement {
    const choices = <T>(
      label: string,
      all: readonly (readonly [T, string])[],
      now: T,
      set: (value: T) => void,
    ): HTMLElement => {
      const group = make("div", { className: "choices", role: "group", ariaLabel: label });
      group.append(
        ...all.map(([value, text]) =>
          make("button", {
            type: "button",
            textContent: text,
            ariaPressed: String(value === now),
            onclick: () => set(value),
          }),
        ),
      );
      return group;
    };
    switch (kind) {
      case "level":
        return choices(
          "Level",
          inside.levels.map(({ name }, i) => [i, name] as const),
          choice.level,
          (level) => choose({ level }),
        );
      case "head":
        return choices(
          "Head",
          inside.masks === undefined ?
            [["box", "box head"]]
          : [
              ["box", "box head"],
              ["mask", "mask head"],
            ],
          choice.head,
          (head) => choose({ head: head as Choice["head"] }),
        );
      case "count": {
        const all = inside.proposals.boxes.length / 4;
        const slider = make("input", {
          type: "range",
          id: "inside-count",
          min: "1",
          max: String(Math.max(1, all)),
          value: String(Math.min(choice.count, all)),
        });
        const output = make("output", {}, slider.value);
        slider.addEventListener("input", () => {
          choice.count = Number(slider.value);
          output.textContent = slider.value;
          draw();
        });
        return make(
          "div",
          {},
          make(
            "label",
            { className: "slider", htmlFor: "inside-count" },
            make("span", {}, "The best"),
            output,
          ),
          slider,
        );
      }
      case "object": {
        const select = make("select", { ariaLabel: "Object", disabled: inside.kept.labels.length === 0 });
        select.append(
          ...Array.from(inside.kept.labels, (label, i) =>
            make("option", {
              value: String(i),
              textContent: `${i + 1}: ${names[label - 1] ?? `class ${label}`} ${inside.kept.scores[i]!.toFixed(2)}`,
              selected: i === choice.object,
            }),
          ),
        );
        select.addEventListener("change", () => choose({ object: Number(select.value) }));
        return select;
      }
    }
  }

  /**
   * Returns the transform from the input's pixels to CSS pixels: of the whole input, or close to an object.
   */
  function placement(): { scale: number; x: number; y: number } {
    const { clientWidth: width, clientHeight: height } = canvas;
    const { inside } = scene!;
    const isNear = step.controls.includes("object") && inside.kept.labels.length > 0;
    const [x1, y1, x2, y2] =
      isNear ?
        boxAt(inside.kept.boxes, choice.object)
      : ([0, 0, inside.input.width, inside.input.height] as const);
    const around = isNear ? 0.5 * Math.max(x2 - x1, y2 - y1) : 0;
    const scale = Math.max(
      0.01,
      Math.min((width - 2 * MARGIN) / (x2 - x1 + 2 * around), (height - 2 * MARGIN) / (y2 - y1 + 2 * around)),
    );
    return { scale, x: width / 2 - ((x1 + x2) / 2) * scale, y: height / 2 - ((y1 + y2) / 2) * scale };
  }

  function draw(): void {
    if (scene === undefined || canvas.hidden || canvas.clientWidth === 0) return;
    const { image, inside, found } = scene;
    const context = canvas.getContext("2d")!;
    const density = devicePixelRatio;
    Object.assign(canvas, {
      width: Math.round(canvas.clientWidth * density),
      height: Math.round(canvas.clientHeight * density),
    });
    const { scale, x, y } = placement();
    context.setTransform(scale * density, 0, 0, scale * density, x * density, y * density);
    const thin = 1 / scale;
    const { window, input, levels } = inside;
    context.fillStyle = "#000";
    context.fillRect(0, 0, input.width, input.height);
    context.imageSmoothingEnabled = scale < 6;
    context.drawImage(image, window.left, window.top, window.width, window.height);
    const level = levels[choice.level]!;
    switch (step.id) {
      case "input":
        context.strokeStyle = "#7d9bff";
        context.lineWidth = 2 * thin;
        context.strokeRect(0, 0, input.width, input.height);
        break;
      case "features":
        drawHeat(context, level.activation, level.grid, { x: 0, y: 0, ...input }, { opacity: 0.82 });
        break;
      case "anchors":
        drawHeat(context, level.objectness, level.grid, { x: 0, y: 0, ...input }, { opacity: 0.66 });
        drawAnchors(
          context,
          level,
          thin,
          pointer === undefined ?
            { x: input.width / 2, y: input.height / 2 }
          : { x: (pointer.x - x) / scale, y: (pointer.y - y) / scale },
        );
        break;
      case "proposals":
        for (let i = Math.min(choice.count, inside.proposals.boxes.length / 4) - 1; i >= 0; i--) {
          context.strokeStyle = colorOf(
            inside.proposals.levels[i]!,
            inside.proposals.scores === undefined ? 0.8 : 0.25 + 0.75 * inside.proposals.scores[i]!,
          );
          context.lineWidth = 1.5 * thin;
          strokeBox(context, boxAt(inside.proposals.boxes, i));
        }
        break;
      case "roi":
        if (inside.kept.labels.length > 0) drawSampling(context, inside, choice, thin);
        break;
      case "mask":
        drawMask(context, { inside, found, image }, choice.object, thin);
        break;
    }
  }

  function drawTimes({ inside }: InsideScene): void {
    const most = Math.max(...inside.seconds.map(([, took]) => took));
    byId("inside-times", HTMLDivElement).replaceChildren(
      ...inside.seconds.flatMap(([stage, took]) => [
        make("span", {}, stage),
        Object.assign(make("i", { ariaHidden: "true" }), {
          style: `width:${((100 * took) / most).toFixed(1)}%`,
        }),
        make("span", { className: "quiet" }, seconds(took)),
      ]),
    );
  }

  const view: InsideView = {
    get isOpen() {
      return scene !== undefined;
    },
    open(next, object = 0) {
      scene = next;
      choice.level = Math.min(choice.level, next.inside.levels.length - 1);
      choice.object = Math.min(object, Math.max(0, next.inside.kept.labels.length - 1));
      byId("inside", HTMLElement).hidden = false;
      update();
      document.getElementById(`tab-${step.id}`)!.focus();
    },
    close() {
      if (scene === undefined) return;
      scene = undefined;
      byId("inside", HTMLElement).hidden = true;
      onClose();
    },
  };
  return view;
}

type Box = readonly [x1: number, y1: number, x2: number, y2: number];
const boxAt = (boxes: Float32Array, i: number): Box => boxes.subarray(4 * i, 4 * i + 4) as unknown as Box;
const areaOf = ([x1, y1, x2, y2]: Box): number => (x2 - x1) * (y2 - y1);
const strokeBox = (context: CanvasRenderingContext2D, [x1, y1, x2, y2]: Box): void =>
  context.strokeRect(x1, y1, x2 - x1, y2 - y1);
const levelFact = ({ name, grid, stride }: Level): string =>
  `${name}: ${size(grid)} features, each ${size(stride)} pixels of the input.`;

// Dark violet over magenta to yellow: brighter is more, also for colour-blind users.
const STOPS = [
  [13, 8, 60],
  [106, 20, 140],
  [204, 60, 110],
  [250, 150, 50],
  [250, 250, 110],
] as const;
function heat(value: number): readonly [number, number, number] {
  const at = Math.min(0.9999, Math.max(0, value)) * (STOPS.length - 1);
  const [a, b] = [STOPS[Math.floor(at)]!, STOPS[Math.floor(at) + 1]!];
  const t = at % 1;
  return [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2])];
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Draws a map of values from 0 to 1 in colours, each value as a square. */
function drawHeat(
  context: CanvasRenderingContext2D,
  values: Float32Array,
  { height, width }: { height: number; width: number },
  place: Place,
  { opacity }: { opacity: number },
): void {
  const pixels = new ImageData(width, height);
  for (const [i, value] of values.entries()) pixels.data.set([...heat(value), 255], 4 * i);
  const map = new OffscreenCanvas(width, height);
  map.getContext("2d")!.putImageData(pixels, 0, 0);
  context.save();
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = false;
  context.drawImage(map, place.x, place.y, place.width, place.height);
  context.restore();
}

function drawAnchors(
  context: CanvasRenderingContext2D,
  { grid, stride, cell }: Level,
  thin: number,
  at: { x: number; y: number },
): void {
  const column = Math.min(grid.width - 1, Math.max(0, Math.floor(at.x / stride.width)));
  const row = Math.min(grid.height - 1, Math.max(0, Math.floor(at.y / stride.height)));
  const [x, y] = [column * stride.width, row * stride.height];
  context.lineWidth = 2 * thin;
  context.strokeStyle = "#fff";
  context.strokeRect(x, y, stride.width, stride.height);
  for (let i = 0; i < cell.length / 4; i++) {
    const [x1, y1, x2, y2] = boxAt(cell, i);
    context.strokeStyle = colorOf(i);
    context.strokeRect(x + x1, y + y1, x2 - x1, y2 - y1);
  }
}

function drawSampling(
  context: CanvasRenderingContext2D,
  { kept, levels, sampling, input }: Inside,
  { object, head }: Choice,
  thin: number,
): void {
  const box = boxAt(kept.boxes, object);
  const [x1, y1, x2, y2] = box;
  const { stride } = levels[kept.levels[object]!]!;
  const line = (a: number, b: number, c: number, d: number): void => {
    context.beginPath();
    context.moveTo(a, b);
    context.lineTo(c, d);
    context.stroke();
  };
  context.lineWidth = thin;
  context.strokeStyle = "rgb(255 255 255 / 0.28)";
  const [w, h] = [x2 - x1, y2 - y1];
  for (
    let x = Math.floor((x1 - w) / stride.width) * stride.width;
    x <= Math.min(input.width, x2 + w);
    x += stride.width
  )
    if (x >= 0) line(x, Math.max(0, y1 - h), x, Math.min(input.height, y2 + h));
  for (
    let y = Math.floor((y1 - h) / stride.height) * stride.height;
    y <= Math.min(input.height, y2 + h);
    y += stride.height
  )
    if (y >= 0) line(Math.max(0, x1 - w), y, Math.min(input.width, x2 + w), y);
  const { bins } = sampling[head];
  context.strokeStyle = colorOf(object, 0.9);
  context.lineWidth = 1.5 * thin;
  for (let i = 0; i <= bins; i++) {
    line(x1 + (i * w) / bins, y1, x1 + (i * w) / bins, y2);
    line(x1, y1 + (i * h) / bins, x2, y1 + (i * h) / bins);
  }
  const { xs, ys } = samplingPoints(box, stride.width, sampling[head]);
  context.fillStyle = "#fff";
  context.strokeStyle = "#10141c";
  context.lineWidth = thin;
  for (const x of xs) {
    for (const y of ys) {
      context.beginPath();
      context.arc(x, y, 3 * thin, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }
}

function drawMask(
  context: CanvasRenderingContext2D,
  { inside, found, image }: { inside: Inside; found: Found; image: ImageBitmap },
  object: number,
  thin: number,
): void {
  const { masks, kept, window } = inside;
  if (kept.labels.length === 0) return;
  const [x1, y1, x2, y2] = boxAt(kept.boxes, object);
  if (masks !== undefined) {
    const { side, probabilities } = masks;
    drawHeat(
      context,
      probabilities.subarray(object * side ** 2, (object + 1) * side ** 2),
      { height: side, width: side },
      { x: x1, y: y1, width: x2 - x1, height: y2 - y1 },
      { opacity: 0.78 },
    );
  }
  context.strokeStyle = colorOf(object);
  context.lineWidth = 1.5 * thin;
  context.strokeRect(x1, y1, x2 - x1, y2 - y1);
  const outline = found.outlines[object];
  // Where empty boxes are dropped in the image's coordinates, the indices of the two lists differ.
  if (outline === undefined || found.detections.labels.length !== kept.labels.length) return;
  context.save();
  context.translate(window.left, window.top);
  context.scale(window.width / image.width, window.height / image.height);
  context.strokeStyle = "#fff";
  context.lineWidth = (2.5 * thin * image.width) / window.width;
  context.stroke(pathOf(outline));
  context.restore();
}
