/** Kernel of sums down the columns of a matrix. */
import { util } from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { COLUMN_SUMS } from "@mrcnn/nn/kernel";
import type { ColumnSumsInputs } from "@mrcnn/nn/kernel";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import type { Given } from "../given.ts";
import { allocate, kernel, release } from "../kernel.ts";
import { run, spread } from "../program.ts";

/** Division of a matrix [rows, columns] for sums down its columns. */
export interface ColumnGrid {
  /** Number of columns of a workgroup, a power of two: neighbouring threads read neighbouring columns. */
  readonly lanes: number;
  /** Number of workgroups side by side. */
  readonly blocks: number;
  /** Number of rows of a workgroup. */
  readonly chunk: number;
  /** Number of workgroups below each other. */
  readonly chunks: number;
}

/** Number of threads of a workgroup that sums down columns: `lanes` beside each other, the rest below. */
export const COLUMN_THREADS = 256;

// Number of workgroups that fills a GPU; each thread should still have several rows.
const ENOUGH_WORKGROUPS = 512;
const LEAST_ROWS_EACH = 16;

/** Divides `batch` matrices of `rows` × `columns`. */
export function columnGrid(rows: number, columns: number, batch = 1): ColumnGrid {
  const lanes = Math.min(64, 2 ** Math.ceil(Math.log2(columns)));
  const blocks = Math.ceil(columns / lanes);
  const most = Math.max(1, Math.ceil(ENOUGH_WORKGROUPS / Math.max(1, batch * blocks)));
  const chunk = Math.max((LEAST_ROWS_EACH * COLUMN_THREADS) / lanes, Math.ceil(rows / most));
  return { lanes, blocks, chunk, chunks: Math.max(1, Math.ceil(rows / chunk)) };
}

/*
 * One workgroup = the sums of LANES columns over a chunk of rows; one thread = every (256 / LANES)-th row of
 * one column, then a tree over the threads of a column. Bounds: any sizes. Cost: rows × columns additions and
 * reads of 4 bytes, all coalesced; a second dispatch of chunks × columns where there are several chunks. No
 * atomics: the order of the sums is fixed.
 */
const source = /* wgsl */ `
const ROWS = 256 / LANES;
var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = workgroup.x + workgroup.y * grid.x;
  let chunk = index / params.blocks;
  if (chunk >= params.chunks) { return; }
  let column = (index % params.blocks) * LANES + thread % LANES;
  let end = min((chunk + 1) * params.chunk, params.rows);
  var sum = 0.0;
  if (column < params.columns) {
    for (var row = chunk * params.chunk + thread / LANES; row < end; row += ROWS) { sum += x[row * params.columns + column]; }
  }
  sums[thread] = sum;
  for (var half = u32(ROWS) / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread / LANES < half) { sums[thread] += sums[thread + half * LANES]; }
  }
  if (thread < LANES && column < params.columns) { y[chunk * params.columns + column] = sums[thread]; }
}`;

/** Sums `x`, seen as [rows, columns], down its columns; the caller owns the result. */
export function sumColumns(
  backend: MrcnnWebgpuBackend,
  x: TensorInfo,
  rows: number,
  columns: number,
): TensorInfo {
  const { lanes, blocks, chunk, chunks } = columnGrid(rows, columns);
  const y = allocate(backend, chunks === 1 ? [columns] : [chunks, columns]);
  run(backend, {
    name: "columnSums",
    source,
    inputs: { x },
    outputs: { y },
    params: { rows, columns, chunk, chunks, blocks },
    constants: { LANES: lanes },
    workgroups: spread(chunks * blocks),
  });
  if (chunks === 1) return y;
  const total = sumColumns(backend, y, chunks, columns);
  release(backend, y);
  return total;
}

export const columnSums: KernelConfig = kernel<Given<ColumnSumsInputs>, object>(
  COLUMN_SUMS,
  ({ inputs: { x }, backend }) => {
    const columns = x.shape.at(-1)!;
    return sumColumns(backend, x, util.sizeFromShape(x.shape) / columns, columns);
  },
);
