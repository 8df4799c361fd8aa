/** The canvas with the image and its detections. */
import { drawFound, largestFirst, pathOf } from "./draw.ts";
import type { View } from "./draw.ts";
import type { Found, ModelInfo } from "./protocol.ts";

/** What the stage shows. */
export interface Scene {
  readonly image: ImageBitmap;
  readonly found?: Found | undefined;
  readonly model?: ModelInfo | undefined;
  readonly view: View;
}

/** The image with its detections drawn over it, at the screen's resolution. */
export interface Stage {
  show(scene: Scene | undefined): void;
  /** Shows the whole image again. */
  fit(): void;
}

/** Callbacks for the user's actions on the stage. */
export interface StageEvents {
  readonly onHover: (object: number | undefined) => void;
  readonly onSelect: (object: number | undefined) => void;
  /** The keyboard selects the next (1) or previous (-1) object. */
  readonly onStep: (by: 1 | -1) => void;
}

const MARGIN = 16;
const MOST_ZOOM = 40;

/** Creates a stage on a canvas that fills its parent; wheel and pinch zoom, dragging moves. */
export function createStage(canvas: HTMLCanvasElement, events: StageEvents): Stage {
  const context = canvas.getContext("2d")!;
  let scene: Scene | undefined;
  // At 1 the whole image fits; the centre is in the image's pixels.
  let zoom = 1;
  let center: { x: number; y: number } | undefined;
  let isDrawing = false;

  const box = (): { width: number; height: number } => ({
    width: canvas.clientWidth,
    height: canvas.clientHeight,
  });
  /** Returns the transform from the image's pixels to CSS pixels. */
  function placement(): { scale: number; x: number; y: number } {
    const { width, height } = box();
    const { image } = scene!;
    const fitted = Math.min((width - 2 * MARGIN) / image.width, (height - 2 * MARGIN) / image.height);
    const scale = Math.max(fitted, 0.001) * zoom;
    const at = center ?? { x: image.width / 2, y: image.height / 2 };
    return { scale, x: width / 2 - at.x * scale, y: height / 2 - at.y * scale };
  }
  const toImage = (x: number, y: number): { x: number; y: number } => {
    const at = placement();
    return { x: (x - at.x) / at.scale, y: (y - at.y) / at.scale };
  };

  function draw(): void {
    isDrawing = false;
    const density = devicePixelRatio;
    const { width, height } = box();
    const [w, h] = [Math.round(width * density), Math.round(height * density)];
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, w, h);
    if (scene === undefined || w === 0) return;
    const { scale, x, y } = placement();
    context.setTransform(scale * density, 0, 0, scale * density, x * density, y * density);
    context.imageSmoothingEnabled = scale * density < 6;
    context.imageSmoothingQuality = "high";
    context.drawImage(scene.image, 0, 0);
    if (scene.found !== undefined && scene.model !== undefined) {
      drawFound(context, scene.found, scene.view, {
        scale: scale * density,
        density,
        names: scene.model.categories.map(({ name }) => name),
        keypoints: scene.model.keypoints,
      });
    }
  }
  const redraw = (): void => {
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(draw);
  };
  new ResizeObserver(redraw).observe(canvas);

  function objectAt(x: number, y: number): number | undefined {
    if (scene?.found === undefined) return undefined;
    const { detections, outlines } = scene.found;
    const at = toImage(x, y);
    const inBox = (i: number): boolean => {
      const [x1, y1, x2, y2] = detections.boxes.subarray(4 * i, 4 * i + 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      return at.x >= x1 && at.x < x2 && at.y >= y1 && at.y < y2;
    };
    context.setTransform(1, 0, 0, 1, 0, 0);
    return largestFirst(detections, scene.view.shown).findLast((i) =>
      outlines[i] === undefined ? inBox(i) : context.isPointInPath(pathOf(outlines[i]), at.x, at.y),
    );
  }

  function zoomBy(factor: number, x: number, y: number): void {
    if (scene === undefined) return;
    const before = toImage(x, y);
    zoom = Math.min(MOST_ZOOM, Math.max(1, zoom * factor));
    const { width, height } = box();
    const { scale } = placement();
    center =
      zoom === 1 ? undefined : (
        { x: before.x - (x - width / 2) / scale, y: before.y - (y - height / 2) / scale }
      );
    redraw();
  }

  const pointers = new Map<number, { x: number; y: number }>();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (pointers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    const now = { x: event.offsetX, y: event.offsetY };
    if (before === undefined || scene === undefined) {
      events.onHover(objectAt(now.x, now.y));
      return;
    }
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (other !== undefined) {
      zoomBy(
        Math.hypot(now.x - other.x, now.y - other.y) /
          Math.max(1, Math.hypot(before.x - other.x, before.y - other.y)),
        (now.x + other.x) / 2,
        (now.y + other.y) / 2,
      );
    } else if (zoom > 1 && center !== undefined) {
      const { scale } = placement();
      center = { x: center.x - (now.x - before.x) / scale, y: center.y - (now.y - before.y) / scale };
      redraw();
    }
    pointers.set(event.pointerId, now);
  });
  const release = (event: PointerEvent): void => {
    if (pointers.delete(event.pointerId) && event.type === "pointerup" && moved < 5)
      events.onSelect(objectAt(event.offsetX, event.offsetY));
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => events.onHover(undefined));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.002)), event.offsetX, event.offsetY);
    },
    { passive: false },
  );
  canvas.addEventListener("dblclick", () => stage.fit());
  canvas.addEventListener("keydown", (event) => {
    const { width, height } = box();
    const act: Readonly<Record<string, () => void>> = {
      ArrowRight: () => events.onStep(1),
      ArrowDown: () => events.onStep(1),
      ArrowLeft: () => events.onStep(-1),
      ArrowUp: () => events.onStep(-1),
      Escape: () => events.onSelect(undefined),
      "+": () => zoomBy(1.4, width / 2, height / 2),
      "=": () => zoomBy(1.4, width / 2, height / 2),
      "-": () => zoomBy(1 / 1.4, width / 2, height / 2),
      "0": () => stage.fit(),
    };
    const action = act[event.key];
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });

  const stage: Stage = {
    show(next) {
      if (
        next?.image !== scene?.image &&
        (next === undefined ||
          scene === undefined ||
          next.image.width !== scene.image.width ||
          next.image.height !== scene.image.height)
      ) {
        zoom = 1;
        center = undefined;
      }
      scene = next;
      redraw();
    },
    fit() {
      zoom = 1;
      center = undefined;
      redraw();
    },
  };
  return stage;
}
