/** The opened images, of which one is shown. */
import type { Answer } from "./engine.ts";
import { EngineProblem } from "./engine.ts";
import type { Problem } from "./problems.ts";
import { problemOf } from "./problems.ts";
import type { Found, Picture } from "./protocol.ts";

/** An opened image. */
export interface Entry {
  readonly id: number;
  readonly name: string;
  readonly blob: Blob;
  /** A small copy for the strip. */
  readonly thumbnail: HTMLCanvasElement;
  state: "waiting" | "running" | "done" | "failed";
  found?: Found | undefined;
  problem?: Problem | undefined;
}

/** All opened images, of which one is shown. Each is detected once, the shown one first. */
export interface Gallery {
  readonly entries: readonly Entry[];
  readonly current: Entry | undefined;
  /** Pixels of the shown image. */
  readonly image: ImageBitmap | undefined;
  /** Opens images and shows the first. One that can't be decoded is reported, and left out. */
  open(files: readonly { readonly name: string; readonly blob: Blob }[]): Promise<void>;
  show(entry: Entry): Promise<void>;
  remove(entry: Entry): void;
  /** Detects every image again, after the model or its input has changed. */
  renew(): void;
  /** Detects the waiting images, until there are none. */
  run(): Promise<void>;
  /** Shows no image. */
  leave(): void;
}

/** Options of `createGallery`. */
export interface GalleryOptions {
  readonly detect: (picture: Picture) => Promise<Answer>;
  /** Tells whether a model is loaded. */
  readonly isReady: () => boolean;
  readonly onChange: () => void;
  readonly onProblem: (problem: Problem) => void;
}

const THUMBNAIL = 136;

const decode = (blob: Blob): Promise<ImageBitmap> =>
  createImageBitmap(blob, { imageOrientation: "from-image" });

function thumbnailOf(image: ImageBitmap): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  const scale = Math.min(1, THUMBNAIL / Math.min(image.width, image.height));
  Object.assign(canvas, {
    width: Math.max(1, Math.round(image.width * scale)),
    height: Math.max(1, Math.round(image.height * scale)),
  });
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** Creates an empty gallery. */
export function createGallery({ detect, isReady, onChange, onProblem }: GalleryOptions): Gallery {
  let entries: Entry[] = [];
  let current: Entry | undefined;
  let image: ImageBitmap | undefined;
  let count = 0;
  let round = 0;
  let running: Promise<void> | undefined;

  function put(entry: Entry | undefined, next: ImageBitmap | undefined): void {
    if (image !== next) image?.close();
    image = next;
    current = entry;
    onChange();
  }

  async function runAll(): Promise<void> {
    while (isReady()) {
      const next = current?.state === "waiting" ? current : entries.find(({ state }) => state === "waiting");
      if (next === undefined) return;
      const own = round;
      next.state = "running";
      onChange();
      try {
        const { found } = await detect(next.blob);
        if (own === round) Object.assign(next, { state: "done", found, problem: undefined });
      } catch (error) {
        const problem = error instanceof EngineProblem ? error.problem : problemOf(error, "detect");
        if (own === round) {
          Object.assign(next, { state: "failed", problem });
          if (next === current) onProblem(problem);
        }
      }
      onChange();
    }
  }

  const gallery: Gallery = {
    get entries() {
      return entries;
    },
    get current() {
      return current;
    },
    get image() {
      return image;
    },
    async open(files) {
      let isFirst = true;
      for (const { name, blob } of files) {
        let decoded: ImageBitmap;
        try {
          decoded = await decode(blob);
        } catch (error) {
          onProblem({
            ...problemOf(error, "image"),
            detail: `${name}: ${error instanceof Error ? error.message : String(error)}`,
          });
          continue;
        }
        const entry: Entry = { id: ++count, name, blob, thumbnail: thumbnailOf(decoded), state: "waiting" };
        entries = [...entries, entry];
        if (isFirst) put(entry, decoded);
        else {
          decoded.close();
          onChange();
        }
        isFirst = false;
        void gallery.run();
      }
    },
    async show(entry) {
      const decoded = await decode(entry.blob);
      if (entries.includes(entry)) put(entry, decoded);
      else decoded.close();
      void gallery.run();
    },
    remove(entry) {
      const at = entries.indexOf(entry);
      entries = entries.filter((one) => one !== entry);
      if (entry !== current) onChange();
      else {
        const next = entries[Math.min(at, entries.length - 1)];
        put(undefined, undefined);
        if (next !== undefined) void gallery.show(next);
      }
    },
    renew() {
      round++;
      for (const entry of entries)
        Object.assign(entry, { state: "waiting", found: undefined, problem: undefined });
      onChange();
      void gallery.run();
    },
    run() {
      running ??= runAll().finally(() => (running = undefined));
      return running;
    },
    leave: () => put(undefined, undefined),
  };
  return gallery;
}
