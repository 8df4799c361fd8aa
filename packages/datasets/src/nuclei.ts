/** Generated pictures of cell nuclei that look like microscopy. */
import { ConfigError, DatasetError, createRandom } from "@mrcnn/core";
import type { Dataset, ImageSize, RawImage, Random, Sample } from "@mrcnn/core";
import { bitmapFromFull } from "@mrcnn/masks";
import { oneClass } from "./one-class.ts";

/**
 * How a specimen is stained: bright nuclei on black, or violet ones in pink tissue (haematoxylin and eosin).
 */
export type Stain = "fluorescence" | "haematoxylin-eosin";

/** Options of the pictures, as plain data. */
export interface NucleiOptions {
  /** Number of images. */
  readonly count: number;
  /** Size of the images. Default 256 x 256. */
  readonly size?: ImageSize;
  /** Seed; another one gives other images. Default 0. */
  readonly seed?: number;
  /** Stain of the specimen. Default "fluorescence". */
  readonly stain?: Stain;
  /**
   * Smallest and largest number of nuclei placed per image; fewer where there is no room. Default [10, 30].
   */
  readonly nuclei?: readonly [number, number];
  /** Smallest and largest mean diameter of a nucleus in pixels. Default [14, 32]. */
  readonly diameter?: readonly [number, number];
  /** Share of its diameter that a nucleus may reach into another; 0 keeps them apart. Default 0.1. */
  readonly overlap?: number;
  /** Standard deviation of the camera's noise, on the scale of 255. Default 4. */
  readonly noise?: number;
}

/**
 * Generates pictures that look like microscopy: nuclei with irregular outlines and mottled insides, some of
 * them touching, under uneven light. Image `i` depends on the seed and `i` only. A mask is the part of its
 * nucleus that no later one covers. The pictures are for trying out a model, not a substitute for real
 * images.
 *
 * @throws ConfigError for sizes, numbers or stains that can't be drawn; DatasetError for an index out of
 * range.
 */
export function nucleiDataset(options: NucleiOptions): Dataset {
  const { count, seed = 0, stain = "fluorescence", size = { height: 256, width: 256 } } = options;
  const { nuclei = [10, 30], diameter = [14, 32], overlap = 0.1, noise = 4 } = options;
  const problem =
    !Number.isInteger(count) || count < 0 ? `count must be a whole number, got ${count}`
    : !Object.hasOwn(stains, stain) ? `stain must be ${Object.keys(stains).join(" or ")}, got ${stain}`
    : !(nuclei[0] >= 0 && nuclei[0] <= nuclei[1]) ? `nuclei must be [least, most], got [${nuclei.join(", ")}]`
    : !(diameter[0] >= 4 && diameter[0] <= diameter[1]) ?
      `diameter must be [least, most] from 4 up, got [${diameter.join(", ")}]`
    : 1.5 * diameter[1] > Math.min(size.height, size.width) ?
      `diameter must be at most two thirds of ${size.height}x${size.width} pixels, got up to ${diameter[1]}`
    : !(overlap >= 0 && overlap <= 0.5) ? `overlap must be from 0 to 0.5, got ${overlap}`
    : undefined;
  if (problem !== undefined) throw new ConfigError(`nucleiDataset: ${problem}.`);
  return {
    length: count,
    classNames: ["background", "nucleus"],
    async get(index) {
      if (!(Number.isInteger(index) && index >= 0 && index < count)) {
        throw new DatasetError(`nucleiDataset: index must be within 0..${count - 1}, got ${index}.`);
      }
      return draw(index, createRandom(seed).fork(index), { stain, size, nuclei, diameter, overlap, noise });
    },
  };
}

type Drawing = Required<Omit<NucleiOptions, "count" | "seed">>;

function draw(
  index: number,
  random: Random,
  { stain, size, nuclei, diameter, overlap, noise }: Drawing,
): Sample {
  const { height, width } = size;
  const placed = place(random, {
    size,
    wanted: nuclei[0] + random.int(nuclei[1] - nuclei[0] + 1),
    diameter,
    overlap,
  });
  const mottle = smoothNoise(size, 5, random);
  // The nucleus that each pixel shows, counted from 1, and the amount of dye there: the microscope blurs the
  // rim.
  const owner = new Uint16Array(height * width);
  const dye = new Float32Array(height * width);
  for (const [k, nucleus] of placed.entries()) {
    const reach = 1.6 * nucleus.radius;
    for (let y = Math.max(0, Math.floor(nucleus.y - reach)); y < Math.min(height, nucleus.y + reach); y++) {
      for (let x = Math.max(0, Math.floor(nucleus.x - reach)); x < Math.min(width, nucleus.x + reach); x++) {
        const i = y * width + x;
        const depth = depthWithin(nucleus, x + 0.5, y + 0.5);
        if (depth > 0) owner[i] = k + 1;
        const rim = 1 / (1 + Math.exp(-1.8 * depth));
        const thick = 0.75 + 0.25 * Math.min(1, Math.max(0, depth) / (0.6 * nucleus.radius));
        dye[i] = Math.max(dye[i]!, nucleus.amount * rim * thick * (0.8 + 0.4 * mottle[i]!));
      }
    }
  }
  const paint = stains[stain](size, random);
  const data = new Uint8ClampedArray(height * width * 3);
  for (let i = 0; i < owner.length; i++) {
    const color = paint(dye[i]!, i);
    // A camera for fluorescence is monochrome, so all three channels have the same noise.
    const grain = random.normal();
    for (let c = 0; c < 3; c++)
      data[3 * i + c] = color[c]! + noise * (stain === "fluorescence" ? grain : random.normal());
  }
  const masks = placed.map((_, k) =>
    bitmapFromFull(
      Uint8Array.from(owner, (o) => (o === k + 1 ? 1 : 0)),
      size,
    ),
  );
  const image: RawImage = { height, width, data };
  return {
    id: index + 1,
    name: `nuclei-${String(index).padStart(5, "0")}.png`,
    image,
    groundTruth: oneClass(masks),
  };
}

interface Nucleus {
  readonly x: number;
  readonly y: number;
  /** Mean radius in pixels. */
  readonly radius: number;
  /** Amount of dye that it takes up. */
  readonly amount: number;
  /** Radius relative to the mean, by 64ths of a turn. */
  readonly outline: Float32Array;
}

const DIRECTIONS = 64;

/**
 * Returns by how many pixels (x, y) is within the outline, along its ray from the centre; negative outside.
 */
function depthWithin({ x: cx, y: cy, radius, outline }: Nucleus, x: number, y: number): number {
  const at = (Math.atan2(y - cy, x - cx) / (2 * Math.PI) + 1) * DIRECTIONS;
  const below = Math.floor(at);
  const [a, b] = [outline[below % DIRECTIONS]!, outline[(below + 1) % DIRECTIONS]!];
  return radius * (a + (b - a) * (at - below)) - Math.hypot(x - cx, y - cy);
}

// Places each nucleus where it does not reach too far into earlier ones; nuclei for which no such place is
// found are left out.
function place(
  random: Random,
  {
    size,
    wanted,
    diameter,
    overlap,
  }: Pick<Drawing, "size" | "diameter" | "overlap"> & { readonly wanted: number },
): Nucleus[] {
  const placed: Nucleus[] = [];
  for (let k = 0; k < wanted; k++) {
    const radius = (diameter[0] + (diameter[1] - diameter[0]) * random.uniform()) / 2;
    const shape = { radius, amount: 0.55 + 0.45 * random.uniform(), outline: randomOutline(random) };
    for (let tries = 0; tries < 40; tries++) {
      // Entirely within the image, since an outline reaches at most 1.4 radii.
      const [x, y] = [size.width, size.height].map(
        (extent) => 1.4 * radius + (extent - 2.8 * radius) * random.uniform(),
      ) as [number, number];
      const nucleus = { ...shape, x, y };
      if (placed.some((other) => reachesInto(nucleus, other, overlap))) continue;
      placed.push(nucleus);
      break;
    }
  }
  return placed;
}

// Tells whether a point of either outline lies too deep in the other nucleus.
function reachesInto(a: Nucleus, b: Nucleus, overlap: number): boolean {
  if (Math.hypot(a.x - b.x, a.y - b.y) > 1.4 * (a.radius + b.radius)) return false;
  const allowed = overlap * 2 * Math.min(a.radius, b.radius);
  const deepest = (one: Nucleus, other: Nucleus): number =>
    one.outline.reduce((depth, reach, d) => {
      const angle = (2 * Math.PI * d) / DIRECTIONS;
      return Math.max(
        depth,
        depthWithin(
          other,
          one.x + one.radius * reach * Math.cos(angle),
          one.y + one.radius * reach * Math.sin(angle),
        ),
      );
    }, -Infinity);
  return deepest(a, b) > allowed || deepest(b, a) > allowed;
}

// Returns the outline of an ellipse with a few slow waves.
function randomOutline(random: Random): Float32Array {
  const turn = Math.PI * random.uniform();
  const stretch = 1 + 0.3 * random.uniform();
  const waves = [3, 4, 5].map((k) => ({
    k,
    height: (0.12 / k) * random.normal(),
    phase: 2 * Math.PI * random.uniform(),
  }));
  return Float32Array.from({ length: DIRECTIONS }, (_, d) => {
    const angle = (2 * Math.PI * d) / DIRECTIONS;
    const ellipse = 1 / Math.hypot(Math.cos(angle - turn) / stretch, Math.sin(angle - turn) * stretch);
    return Math.min(
      1.4,
      Math.max(
        0.6,
        ellipse + waves.reduce((sum, { k, height, phase }) => sum + height * Math.cos(k * angle + phase), 0),
      ),
    );
  });
}

/**
 * Returns noise from 0 to 1 with details of `scale` pixels: random values on a grid, smoothly interpolated.
 */
function smoothNoise({ height, width }: ImageSize, scale: number, random: Random): Float32Array {
  const columns = Math.ceil(width / scale) + 2;
  const grid = Float32Array.from({ length: columns * (Math.ceil(height / scale) + 2) }, () =>
    random.uniform(),
  );
  const smooth = (t: number): number => t * t * (3 - 2 * t);
  const field = new Float32Array(height * width);
  for (let y = 0, i = 0; y < height; y++) {
    const row = Math.floor(y / scale) * columns;
    const v = smooth((y / scale) % 1);
    for (let x = 0; x < width; x++, i++) {
      const at = row + Math.floor(x / scale);
      const u = smooth((x / scale) % 1);
      const top = grid[at]! + u * (grid[at + 1]! - grid[at]!);
      const bottom = grid[at + columns]! + u * (grid[at + columns + 1]! - grid[at + columns]!);
      field[i] = top + v * (bottom - top);
    }
  }
  return field;
}

/** Returns the colour of a pixel with the given amount of dye. */
type Paint = (dye: number, pixel: number) => readonly [number, number, number];

const stains: Readonly<Record<Stain, (size: ImageSize, random: Random) => Paint>> = {
  fluorescence(size, random) {
    const [dark, glow, gain] = [
      4 + 10 * random.uniform(),
      12 * random.uniform(),
      110 + 110 * random.uniform(),
    ];
    const light = smoothNoise(size, Math.max(size.height, size.width) / 2, random);
    return (dye, i) => {
      const value = dark + glow * light[i]! + gain * (0.8 + 0.4 * light[i]!) * dye;
      return [value, value, value];
    };
  },
  // By Beer and Lambert's law each dye absorbs its own part of red, green and blue (Ruifrok and Johnston,
  // 2001).
  "haematoxylin-eosin"(size, random) {
    const tissue = [30, 11, 5].map((scale) => smoothNoise(size, scale, random));
    const chromatin = smoothNoise(size, 3, random);
    const [pink, deep] = [0.1 + 0.2 * random.uniform(), 1.1 + 0.6 * random.uniform()];
    return (dye, i) => {
      const fibre = 0.5 * tissue[0]![i]! + 0.3 * tissue[1]![i]! + 0.2 * tissue[2]![i]!;
      const haematoxylin = 0.06 * fibre + deep * dye * (0.7 + 0.6 * chromatin[i]!);
      const eosin = pink * (0.3 + 1.2 * fibre) + 0.45 * dye;
      return [
        [0.65, 0.07],
        [0.7, 0.99],
        [0.29, 0.11],
      ].map(([h, e]) => 245 * Math.exp(-(h! * haematoxylin + e! * eosin))) as [number, number, number];
    };
  },
};
