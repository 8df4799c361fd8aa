/** Division of a matrix product among workgroups, by a model of the time it takes. */

/** Division of one workgroup's part of a matrix product. */
export interface Tile {
  /** Number of threads along the columns and the rows of the output. */
  readonly threads: readonly [columns: number, rows: number];
  /** Number of outputs of one thread; columns a multiple of 4. */
  readonly each: readonly [columns: number, rows: number];
  /** Rate of arithmetic where the tile fills the device, relative to the best tile. */
  readonly efficiency: number;
}

export const columnsOf = ({ threads, each }: Tile): number => threads[0] * each[0];
export const rowsOf = ({ threads, each }: Tile): number => threads[1] * each[1];

/**
 * Depth of a tile in workgroup memory, which is held twice: 4 to 16 KB for all tiles, which every device has.
 */
export const DEPTH = 8;

// For rows * columns multiplications a thread reads rows + columns values of workgroup memory: a quarter of
// their number for 8x8, a half for 4x4, hence the efficiencies.
export const tiles: readonly Tile[] = [
  { threads: [16, 16], each: [8, 8], efficiency: 1 }, // 128 x 128
  { threads: [8, 16], each: [8, 8], efficiency: 0.95 }, // 128 x 64
  { threads: [8, 8], each: [8, 8], efficiency: 0.9 }, // 64 x 64
  { threads: [8, 8], each: [4, 4], efficiency: 0.55 }, // 32 x 32
  { threads: [4, 16], each: [4, 4], efficiency: 0.5 }, // 64 x 16
  { threads: [16, 4], each: [4, 4], efficiency: 0.5 }, // 16 x 64
];

/** Sizes of a product, for each of `batch`. */
export interface Extent {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly batch: number;
}

/** A tile, and the number of parts of the depth that separate workgroups sum. */
export interface Plan {
  readonly tile: Tile;
  readonly splits: number;
}

// Assumed number of lanes, as devices don't state it: large GPUs have some 128 multiprocessors of 128. One
// thread for each suffices, as it has 16 to 64 independent sums, which hide latency; a workgroup stays on one
// multiprocessor. Smaller devices lose only what splitting costs.
const LANES = 16384;
const LANES_OF_ONE = 128;
// Operations in the time in which one byte of memory moves; 13 to 30 on today's GPUs.
export const OPERATIONS_PER_BYTE = 20;
// Minimum depth of a part: below it, the additional sums are not worth it.
const LEAST_DEPTH = 128;

/**
 * Returns the plan that takes the least time by a model of three parts: multiplications including those
 * beyond tiles' edges, by the tile's efficiency and the part of the device that its workgroups fill; and the
 * traffic of the parts' sums.
 */
export function planOf({ rows, columns, depth, batch }: Extent): Plan {
  let best: Plan | undefined;
  let least = Infinity;
  for (const tile of tiles) {
    const [height, width] = [rowsOf(tile), columnsOf(tile)];
    const groups = Math.ceil(rows / height) * Math.ceil(columns / width) * batch;
    const operations = 2 * groups * height * width * (depth + DEPTH);
    const lanes = groups * Math.min(LANES_OF_ONE, tile.threads[0] * tile.threads[1]);
    for (const splits of [1, 2, 4, 8, 16, 32, 64]) {
      if (splits > 1 && depth / splits < LEAST_DEPTH) break;
      const filled = Math.min(1, (lanes * splits) / LANES);
      const traffic = splits === 1 ? 0 : splits * rows * columns * batch * 8;
      const cost = operations / tile.efficiency / filled + traffic * OPERATIONS_PER_BYTE;
      if (cost < least) [best, least] = [{ tile, splits }, cost];
    }
  }
  return best!;
}

/**
 * Plan for a processor, which takes ten seconds to compile the largest tile and two for each other: one tile
 * for all.
 */
export const softwarePlan: Plan = { tile: tiles[3]!, splits: 1 };
