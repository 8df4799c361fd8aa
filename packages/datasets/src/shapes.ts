/** Generated pictures of overlapping geometric figures. */
import {
  ConfigError,
  DatasetError,
  createRandom,
  type Bitmap,
  type Dataset,
  type ImageSize,
  type Random,
  type Sample,
} from "@mrcnn/core";
import { bitmapBox, bitmapFromFull } from "@mrcnn/masks";

/** Kind of a figure. */
export type Shape = "circle" | "rectangle" | "triangle";

/** Options of the pictures, as plain data. */
export interface ShapesOptions {
  /** Number of images. */
  readonly count: number;
  /** Size of the images. Default 128 x 128. */
  readonly size?: ImageSize;
  /** Seed; another one gives other images. Default 0. */
  readonly seed?: number;
  /** The classes, in the order of their labels from 1. Default circle, rectangle, triangle. */
  readonly classes?: readonly Shape[];
  /** Smallest and largest number of figures drawn per image. Default [1, 4]. */
  readonly objects?: readonly [number, number];
  /** Smallest and largest extent of a figure in pixels. Default [20, 60]. */
  readonly objectSize?: readonly [number, number];
  /** Standard deviation of the noise on each value, on the scale of 255. Default 8. */
  readonly noise?: number;
  /**
   * Whether figures and background have gradients and stripes instead of one plain colour, which is harder.
   * Default false.
   */
  readonly textures?: boolean;
  /**
   * Smallest visible share of each figure: a new figure that would hide more of an earlier one is left out.
   * Default 0.3.
   */
  readonly minVisible?: number;
}

type Color = readonly [number, number, number];
/** Returns the colour at a pixel. */
type Paint = (x: number, y: number) => Color;

const allShapes: readonly Shape[] = ["circle", "rectangle", "triangle"];

/**
 * Generates pictures of figures that overlap and hide each other: enough to see a network learn, without any
 * files. Image `i` depends on the seed and `i` only. A mask is the visible part of its figure.
 *
 * @throws ConfigError for sizes, numbers or classes that can't be drawn; DatasetError for an index out of
 * range.
 */
export function shapesDataset(options: ShapesOptions): Dataset {
  const { count, seed = 0, classes = allShapes, size = { height: 128, width: 128 } } = options;
  const { objects = [1, 4], objectSize = [20, 60] } = options;
  const unknown = classes.find((name) => !allShapes.includes(name));
  const problem =
    unknown !== undefined ? `classes must be among ${allShapes.join(", ")}, got ${unknown}`
    : classes.length === 0 ? "classes must name at least one shape, got none"
    : !Number.isInteger(count) || count < 0 ? `count must be a whole number, got ${count}`
    : !(objects[0] >= 0 && objects[0] <= objects[1]) ?
      `objects must be [least, most], got [${objects.join(", ")}]`
    : objects[1] > 255 ? `objects must be at most 255, got ${objects[1]}`
    : !(objectSize[0] >= 2 && objectSize[0] <= objectSize[1]) ?
      `objectSize must be [least, most] from 2 up, got [${objectSize.join(", ")}]`
    : objectSize[1] > Math.min(size.height, size.width) ?
      `objectSize must fit into ${size.height}x${size.width} pixels, got up to ${objectSize[1]}`
    : undefined;
  if (problem !== undefined) throw new ConfigError(`shapesDataset: ${problem}.`);
  return {
    length: count,
    classNames: ["background", ...classes],
    async get(index) {
      if (!(Number.isInteger(index) && index >= 0 && index < count)) {
        throw new DatasetError(`shapesDataset: index must be within 0..${count - 1}, got ${index}.`);
      }
      return draw(index, createRandom(seed).fork(index), { ...options, classes, size, objects, objectSize });
    },
  };
}

type Drawing = ShapesOptions & Required<Pick<ShapesOptions, "classes" | "size" | "objects" | "objectSize">>;

function draw(index: number, random: Random, options: Drawing): Sample {
  const { size, classes, objects, objectSize, noise = 8, textures = false, minVisible = 0.3 } = options;
  const { height, width } = size;
  const between = ([low, high]: readonly [number, number]): number => low + (high - low) * random.uniform();

  const background = randomColor(random);
  const paints: Paint[] = [texture(background, random, textures)];
  const figures: { label: number; area: number }[] = [];
  const colors: Color[] = [];
  // The figure that each pixel shows: 0 is the background, later figures cover earlier ones.
  const owner = new Uint8Array(height * width);
  const wanted = objects[0] + random.int(objects[1] - objects[0] + 1);
  for (let k = 0; k < wanted; k++) {
    const label = 1 + random.int(classes.length);
    const w = between(objectSize);
    const h =
      classes[label - 1] === "circle" ?
        w
      : Math.min(objectSize[1], Math.max(objectSize[0], w * between([0.6, 1.6])));
    const left = random.uniform() * (width - w);
    const top = random.uniform() * (height - h);
    const inside = figure(classes[label - 1]!, left, top, w, h, random);
    const pixels = new Uint8Array(height * width);
    let area = 0;
    for (let y = Math.floor(top); y < Math.min(height, top + h); y++) {
      for (let x = Math.floor(left); x < Math.min(width, left + w); x++) {
        if (!inside(x + 0.5, y + 0.5)) continue;
        pixels[y * width + x] = 1;
        area++;
      }
    }
    // Figures differ visibly from the background and, if possible, from each other.
    let color = randomColor(random);
    for (let tries = 0; tries < 100; tries++) {
      if (
        distance(color, background) >= 90 &&
        (tries > 50 || colors.every((other) => distance(color, other) >= 60))
      )
        break;
      color = randomColor(random);
    }
    const before = owner.slice();
    for (let i = 0; i < owner.length; i++) if (pixels[i] === 1) owner[i] = figures.length + 1;
    // No earlier figure may become too hidden; otherwise the new figure is left out.
    const seen = new Uint32Array(figures.length + 2);
    for (const k of owner) seen[k]!++;
    if (area === 0 || figures.some((earlier, k) => seen[k + 1]! < minVisible * earlier.area)) {
      owner.set(before);
      continue;
    }
    figures.push({ label, area });
    colors.push(color);
    paints.push(texture(color, random, textures));
  }

  const data = new Uint8ClampedArray(height * width * 3);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const color = paints[owner[i]!]!(x, y);
      for (let c = 0; c < 3; c++) data[i * 3 + c] = color[c]! + noise * random.normal();
    }
  }
  const masks = figures.map((_, k): Bitmap =>
    bitmapFromFull(
      owner.map((o) => (o === k + 1 ? 1 : 0)),
      size,
    ),
  );
  return {
    id: index + 1,
    name: `shapes-${String(index).padStart(5, "0")}.png`,
    image: { height, width, data },
    groundTruth: {
      boxes: Float32Array.from(masks.flatMap((mask) => [...bitmapBox(mask)])),
      labels: Int32Array.from(figures, ({ label }) => label),
      masks,
      isCrowd: new Uint8Array(figures.length),
    },
  };
}

const randomColor = (random: Random): Color => [random.int(256), random.int(256), random.int(256)];
const distance = (a: Color, b: Color): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

// Returns whether a point lies in the figure that fills the given rectangle.
function figure(
  shape: Shape,
  left: number,
  top: number,
  width: number,
  height: number,
  random: Random,
): (x: number, y: number) => boolean {
  if (shape === "rectangle") return (x, y) => x >= left && x <= left + width && y >= top && y <= top + height;
  if (shape === "circle") {
    const r = width / 2;
    return (x, y) => Math.hypot(x - left - r, y - top - r) <= r;
  }
  // The apex is somewhere along the top or the bottom edge, the opposite edge is the base.
  const apex = left + width * (0.25 + 0.5 * random.uniform());
  const down = random.uniform() < 0.5;
  return (x, y) => {
    if (y < top || y > top + height) return false;
    const t = down ? (top + height - y) / height : (y - top) / height;
    return x >= apex + (left - apex) * t && x <= apex + (left + width - apex) * t;
  };
}

// Returns a plain colour, or one with a gradient or stripes.
function texture(color: Color, random: Random, textures: boolean): Paint {
  const kind = random.int(3);
  const angle = random.uniform() * Math.PI * 2;
  const period = 4 + random.uniform() * 12;
  const strength = 10 + random.uniform() * 25;
  if (!textures || kind === 0) return () => color;
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
  const shade: (along: number) => number =
    kind === 1 ?
      (along) => strength * Math.sin(along / 40)
    : (along) => (Math.floor(along / period) % 2 === 0 ? strength / 2 : -strength / 2);
  return (x, y) => {
    const s = shade(x * dx + y * dy);
    return [color[0] + s, color[1] + s, color[2] + s];
  };
}
