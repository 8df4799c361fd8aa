/** Tiled matrix products whose operands and output are given as shader text. */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import { run, spread } from "../program.ts";
import type { Param } from "../program.ts";
import { epilogueOf } from "./epilogue.ts";
import type { Epilogue, EpilogueSource } from "./epilogue.ts";
import { elements } from "./operand.ts";
import type { Operand } from "./operand.ts";
import { columnsOf, DEPTH, planOf, rowsOf, softwarePlan } from "./tile.ts";
import type { Extent, Plan, Tile } from "./tile.ts";

/**
 * Location of a product's rows in the output. `source` declares
 *
 *     fn rowAt(z: u32, row: u32) -> u32         the index of the element in the row's first column
 *     fn channelAt(z: u32) -> u32               the channel of the first column
 */
export interface Target {
  readonly key: string;
  readonly source: string;
  readonly params: Readonly<Record<string, Param>>;
  /** Whether rowAt and channelAt are multiples of 4 when the columns are. */
  readonly isAligned: boolean;
}

/**
 * Places rows `step` elements apart, and those of the next batch element `batch` further; `channels`
 * likewise.
 */
export function rowsAt({
  step,
  batch,
  channels = 0,
}: {
  step: number;
  batch: number;
  channels?: number;
}): Target {
  return {
    key: "rows",
    source: `
fn rowAt(z: u32, row: u32) -> u32 { return z * params.outBatch + row * params.outStep; }
fn channelAt(z: u32) -> u32 { return z * params.channelStep; }`,
    params: { outStep: step, outBatch: batch, channelStep: channels },
    isAligned: step % 4 === 0 && batch % 4 === 0 && channels % 4 === 0,
  };
}

/** A batch of matrix products, A of [rows, depth] by B of [depth, columns]. */
export interface Product {
  readonly extent: Extent;
  readonly a: Operand;
  readonly b: Operand;
  readonly out: TensorInfo;
  readonly target: Target;
  readonly epilogue?: Epilogue;
  /** Declares `rowsOf(z)` and `depthOf(z)` where they differ within the batch; `extent` has the largest. */
  readonly uneven?: { readonly key: string; readonly source: string };
  /** Type of the tiles in workgroup memory; halves saturate, sums are always float32. Default "f32". */
  readonly tile?: "f32" | "f16";
  /** Division of the product among workgroups. Default that of `planOf`, on a GPU. */
  readonly plan?: Plan;
}

const even = {
  key: "",
  source: `
fn rowsOf(z: u32) -> u32 { return params.rows; }
fn depthOf(z: u32) -> u32 { return params.depth; }`,
};

/**
 * Computes a product. One workgroup computes one tile of one product, over all of its depth or a part of it;
 * parts are written to a separate tensor and added in order by a second dispatch, so that results repeat bit
 * for bit.
 */
export function multiply(backend: MrcnnWebgpuBackend, product: Product): void {
  const { extent, a, b, out, target, epilogue = {}, uneven = even, tile: element = "f32" } = product;
  const { rows, columns, depth, batch } = extent;
  if (rows * columns * batch === 0) return;
  const { tile, splits } = product.plan ?? (backend.isSoftware ? softwarePlan : planOf(extent));
  const [tilesDown, tilesAcross] = [Math.ceil(rows / rowsOf(tile)), Math.ceil(columns / columnsOf(tile))];
  const isVector = columns % 4 === 0 && target.isAligned;
  const last = epilogueOf(epilogue, isVector);
  const partial =
    splits === 1 ? undefined : backend.makeTensorInfo([splits, batch, rows, columns], "float32");
  const shared = { rows, columns, depth, ...target.params };
  const isPartial = partial !== undefined;
  const groups = tilesDown * tilesAcross * batch * splits;
  run(backend, {
    name: [
      "gemm",
      columnsOf(tile),
      rowsOf(tile),
      a.key,
      b.key,
      isPartial ?
        columns % 4 === 0 ?
          "part x4"
        : "part x1"
      : `${target.key} ${last.key}`,
      uneven.key,
      element,
    ].join(" "),
    source: [
      a.source,
      b.source,
      uneven.source,
      isPartial ? "" : target.source + last.source,
      mainOf(tile, a, b, element, isPartial ? columns % 4 === 0 : isVector, isPartial),
    ].join("\n"),
    inputs: { ...a.inputs, ...b.inputs, ...(isPartial ? {} : last.inputs) },
    outputs: { result: isPartial ? elements(partial, columns % 4 === 0) : elements(out, isVector) },
    params: {
      ...(isPartial ? { rows, columns, depth } : { ...shared, ...last.params }),
      ...a.params,
      ...b.params,
      tilesDown,
      tilesAcross,
      groups,
      batch,
      part: Math.ceil(depth / splits / DEPTH) * DEPTH,
    },
    features: element === "f16" ? ["f16"] : [],
    workgroups: spread(groups),
  });
  if (partial === undefined) return;
  addParts(backend, { extent, splits, partial, out, target, last, isVector, uneven });
  backend.disposeData(partial.dataId);
}

/** Generates the shader of a tile's product; see the comments in it. */
function mainOf(
  tile: Tile,
  a: Operand,
  b: Operand,
  element: "f32" | "f16",
  isVector: boolean,
  isPartial: boolean,
): string {
  const [threadColumns, threadRows] = tile.threads;
  const [eachColumns, eachRows] = tile.each;
  const [columns, rows] = [columnsOf(tile), rowsOf(tile)];
  const quads = eachColumns / 4; // of columns, per thread
  const threads = threadColumns * threadRows;
  const deep = DEPTH / 4;
  const [sizeA, sizeB] = [rows * deep, (columns * DEPTH) / 4];
  const each = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const loadA = loadOf("a", a, { outer: rows, deep, threads, isNative: a.along === "depth" });
  const loadB = loadOf("b", b, { outer: columns, deep, threads, isNative: b.along === "outer" });
  const accumulators = each(eachRows).flatMap((i) => each(quads).map((c) => `sum${i}_${c}`));
  return `
alias Tile4 = vec4<${element}>;
fn rounded(v: vec4<f32>) -> Tile4 { return ${element === "f16" ? "Tile4(clamp(v, vec4<f32>(-65504), vec4<f32>(65504)))" : "v"}; }
// Two buffers each: one is read while the other is filled.
// A: four depths of a row together; B: four columns of a depth.
var<workgroup> tileA: array<Tile4, ${2 * sizeA}>;
var<workgroup> tileB: array<Tile4, ${2 * sizeB}>;

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = id.x + id.y * grid.x;
  if (index >= params.groups) { return; }
  // Neighbours in time share rows of A, the larger factor of a convolution.
  let tileColumn = index % params.tilesAcross;
  let tileRow = index / params.tilesAcross % params.tilesDown;
  let zs = index / (params.tilesAcross * params.tilesDown);
  let z = zs % params.batch;
  let split = zs / params.batch;
  let firstRow = tileRow * ${rows};
  let firstColumn = tileColumn * ${columns};
  let first = split * params.part;
  let to = min(depthOf(z), first + params.part);
  let threadColumn = local % ${threadColumns};
  let threadRow = local / ${threadColumns};
  ${accumulators.map((name) => `var ${name} = vec4<f32>();`).join("\n  ")}
  ${loadA.setup("firstRow")}
  ${loadB.setup("firstColumn")}

  var depth = first;
  var buffer = 0u;
  if (first < to) {
    ${loadA.load("depth")}
    ${loadB.load("depth")}
    ${loadA.store("0u", sizeA)}
    ${loadB.store("0u", sizeB)}
  }
  workgroupBarrier();
  while (depth < to) {
    let next = depth + ${DEPTH};
    if (next < to) {
      ${loadA.load("next")}
      ${loadB.load("next")}
    }
    let atA = buffer * ${sizeA} + threadRow * ${deep};
    let atB = buffer * ${sizeB} + threadColumn;
    for (var q = 0u; q < ${deep}; q++) {
      ${each(4)
        .flatMap((j) =>
          each(quads).map(
            (c) =>
              `let b${j}_${c} = vec4<f32>(tileB[atB + (q * 4 + ${j}) * ${columns / 4} + ${c * threadColumns}]);`,
          ),
        )
        .join("\n      ")}
      ${each(eachRows)
        .map((i) => {
          const terms = each(quads).flatMap((c) =>
            ["x", "y", "z", "w"].map(
              (axis, j) => `sum${i}_${c} = fma(vec4<f32>(a${i}.${axis}), b${j}_${c}, sum${i}_${c});`,
            ),
          );
          return [`let a${i} = vec4<f32>(tileA[atA + ${i * threadRows * deep} + q]);`, ...terms].join(
            "\n      ",
          );
        })
        .join("\n      ")}
    }
    if (next < to) {
      let other = 1 - buffer;
      ${loadA.store("other", sizeA)}
      ${loadB.store("other", sizeB)}
    }
    workgroupBarrier();
    buffer = 1 - buffer;
    depth = next;
  }

  ${each(eachRows)
    .map((i) => {
      const row = `firstRow + threadRow + ${i * threadRows}`;
      const writes = each(quads).map(
        (c) =>
          `write(z, split, row${i}, firstColumn + (threadColumn + ${c * threadColumns}) * 4, sum${i}_${c});`,
      );
      return `let row${i} = ${row};\n  if (row${i} < rowsOf(z)) { ${writes.join(" ")} }`;
    })
    .join("\n  ")}
}
${isPartial ? writePart(isVector) : writeFinished(isVector)}`;
}

const store = (isVector: boolean): string =>
  isVector ? "result[at / 4] = v;" : (
    [0, 1, 2, 3]
      .map((i) => `if (column + ${i} < params.columns) { result[at + ${i}] = v[${i}]; }`)
      .join("\n  ")
  );

const writePart = (isVector: boolean): string => `
fn write(z: u32, split: u32, row: u32, column: u32, v: vec4<f32>) {
  if (column >= params.columns) { return; }
  let at = ((split * params.batch + z) * params.rows + row) * params.columns + column;
  ${store(isVector)}
}`;

const writeFinished = (isVector: boolean): string => `
fn write(z: u32, split: u32, row: u32, column: u32, sum: vec4<f32>) {
  if (column >= params.columns) { return; }
  let at = rowAt(z, row) + column;
  let v = finish(sum, at, channelAt(z) + column);
  ${store(isVector)}
}`;

interface Loads {
  /** Declares what the loads of one row or column share. */
  setup(first: string): string;
  /** Loads from memory to registers. */
  load(depth: string): string;
  /** Stores from registers to the tile in workgroup memory. */
  store(buffer: string, size: number): string;
}

/**
 * Generates the code with which a workgroup's threads load one tile of an operand. Where memory has
 * neighbours in the order of the tile (`isNative`), each thread loads vec4s, else blocks of 4x4, which it
 * transposes.
 */
function loadOf(
  side: "a" | "b",
  { isVector }: Operand,
  { outer, deep, threads, isNative }: { outer: number; deep: number; threads: number; isNative: boolean },
): Loads {
  const isA = side === "a";
  const units = isNative ? outer * deep : (outer / 4) * deep;
  const slots = Array.from({ length: Math.ceil(units / threads) }, (_, s) => s);
  const guard = (s: number, body: string): string =>
    (s + 1) * threads > units ? `if (local + ${s * threads} < ${units}) { ${body} }` : body;
  const q = (s: number): string => `(local + ${s * threads})`;
  const V = side.toUpperCase();
  if (isNative && isA) {
    // Units along the depth come first; all slots of a thread have the same depth, as `deep` divides the
    // threads.
    const rowOf = (s: number): string => `${q(s)} / ${deep}`;
    return {
      setup: (first) =>
        slots
          .map((s) => `let aRow${s} = aOuter(z, ${first} + ${rowOf(s)});\n  var aNext${s} = vec4<f32>();`)
          .join("\n  "),
      load(depth) {
        const at = `${depth} + local % ${deep} * 4`;
        const inner =
          isVector ?
            `let aDepth = aInner(z, ${at});`
          : [0, 1, 2, 3].map((i) => `let aDepth${i} = aInner(z, ${at} + ${i});`).join(" ");
        const value = (s: number): string =>
          isVector ?
            `aLoad(aRow${s}, aDepth)`
          : `vec4<f32>(${[0, 1, 2, 3].map((i) => `aLoad(aRow${s}, aDepth${i})`).join(", ")})`;
        return `${inner}\n    ${slots.map((s) => guard(s, `aNext${s} = ${value(s)};`)).join("\n    ")}`;
      },
      store: (buffer, size) =>
        slots
          .map((s) => guard(s, `tileA[${buffer} * ${size} + ${q(s)}] = rounded(aNext${s});`))
          .join("\n    "),
    };
  }
  if (isNative) {
    const across = outer / 4;
    return {
      setup(first) {
        const at = `${first} + local % ${across} * 4`;
        const states =
          isVector ?
            `let bColumn = bOuter(z, ${at});`
          : [0, 1, 2, 3].map((i) => `let bColumn${i} = bOuter(z, ${at} + ${i});`).join("\n  ");
        return `${states}\n  ${slots.map((s) => `var bNext${s} = vec4<f32>();`).join("\n  ")}`;
      },
      load: (depth) =>
        slots
          .map((s) => {
            const inner = `bInner(z, ${depth} + ${q(s)} / ${across})`;
            const body =
              isVector ?
                `bNext${s} = bLoad(bColumn, ${inner});`
              : `let bDepth${s} = ${inner}; bNext${s} = vec4<f32>(${[0, 1, 2, 3].map((i) => `bLoad(bColumn${i}, bDepth${s})`).join(", ")});`;
            return guard(s, body);
          })
          .join("\n    "),
      store: (buffer, size) =>
        slots
          .map((s) => guard(s, `tileB[${buffer} * ${size} + ${q(s)}] = rounded(bNext${s});`))
          .join("\n    "),
    };
  }
  // Blocks, with those along memory's neighbours first.
  const outerOf = (s: number): string => (isA ? `${q(s)} % ${outer / 4}` : `${q(s)} / ${deep}`);
  const depthOf = (s: number): string => (isA ? `${q(s)} / ${outer / 4}` : `${q(s)} % ${deep}`);
  const four = [0, 1, 2, 3];
  const name = (s: number, i: number): string => `${side}Next${s}_${i}`;
  return {
    setup: (first) =>
      slots
        .flatMap((s) => [
          // A vector along the outer axis has one state for its four elements.
          ...(isA && isVector ?
            [`let aRow${s} = aOuter(z, ${first} + ${outerOf(s)} * 4);`]
          : four.map(
              (i) => `let ${side}Outer${s}_${i} = ${side}Outer(z, ${first} + ${outerOf(s)} * 4 + ${i});`,
            )),
          ...four.map((i) => `var ${name(s, i)} = vec4<f32>();`),
        ])
        .join("\n  "),
    load: (depth) =>
      slots
        .map((s) => {
          const at = `${depth} + ${depthOf(s)} * 4`;
          const lines: string[] = [];
          // `aNext s_i` holds the four rows of depth i, `bNext s_i` the four depths of column i.
          if (isA) {
            for (const i of four) {
              lines.push(`let aDepth${s}_${i} = aInner(z, ${at} + ${i});`);
              lines.push(
                isVector ?
                  `${name(s, i)} = aLoad(aRow${s}, aDepth${s}_${i});`
                : `${name(s, i)} = vec4<f32>(${four.map((r) => `aLoad(aOuter${s}_${r}, aDepth${s}_${i})`).join(", ")});`,
              );
            }
          } else if (isVector) {
            lines.push(
              `let bDepth${s} = bInner(z, ${at});`,
              ...four.map((i) => `${name(s, i)} = bLoad(bOuter${s}_${i}, bDepth${s});`),
            );
          } else {
            lines.push(...four.map((i) => `let bDepth${s}_${i} = bInner(z, ${at} + ${i});`));
            lines.push(
              ...four.map(
                (i) =>
                  `${name(s, i)} = vec4<f32>(${four.map((k) => `bLoad(bOuter${s}_${i}, bDepth${s}_${k})`).join(", ")});`,
              ),
            );
          }
          return guard(s, lines.join("\n      "));
        })
        .join("\n    "),
    store: (buffer, size) =>
      slots
        .map((s) => {
          const turned = four.map(
            (i) => `rounded(vec4<f32>(${four.map((j) => `${name(s, j)}[${i}]`).join(", ")}))`,
          );
          const at = (i: number): string =>
            isA ?
              `(${outerOf(s)} * 4 + ${i}) * ${deep} + ${depthOf(s)}`
            : `(${depthOf(s)} * 4 + ${i}) * ${outer / 4} + ${outerOf(s)}`;
          return guard(
            s,
            four.map((i) => `tile${V}[${buffer} * ${size} + ${at(i)}] = ${turned[i]};`).join("\n      "),
          );
        })
        .join("\n    "),
  };
}

interface Parts {
  readonly extent: Extent;
  readonly splits: number;
  readonly partial: TensorInfo;
  readonly out: TensorInfo;
  readonly target: Target;
  readonly last: EpilogueSource;
  readonly isVector: boolean;
  readonly uneven: { readonly key: string; readonly source: string };
}

/**
 * Adds up the parts of the depth. One thread adds those of four neighbouring columns, in order: splits + 1
 * passes over the output's bytes.
 */
function addParts(
  backend: MrcnnWebgpuBackend,
  { extent: { rows, columns, depth, batch }, splits, partial, out, target, last, isVector, uneven }: Parts,
): void {
  const quads = Math.ceil(columns / 4);
  const threads = quads * rows * batch;
  const from =
    columns % 4 === 0 ? "parts[at / 4]" : "vec4<f32>(parts[at], parts[at + 1], parts[at + 2], parts[at + 3])";
  run(backend, {
    name: ["gemm parts", columns % 4 === 0, target.key, last.key, uneven.key].join(" "),
    source: `${target.source}${last.source}${uneven.source}${writeFinished(isVector)}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (id.x + id.y * grid.x) * 64 + local;
  if (index >= params.threads) { return; }
  let column = index % params.quads * 4;
  let row = index / params.quads % params.rows;
  let z = index / (params.quads * params.rows);
  if (row >= rowsOf(z)) { return; }
  var sum = vec4<f32>();
  for (var split = 0u; split < params.splits; split++) {
    let at = ((split * params.batch + z) * params.rows + row) * params.columns + column;
    sum += ${from};
  }
  write(z, 0, row, column, sum);
}`,
    inputs: { parts: elements(partial, columns % 4 === 0), ...last.inputs },
    outputs: { result: elements(out, isVector) },
    params: { rows, columns, depth, batch, splits, quads, threads, ...target.params, ...last.params },
    workgroups: spread(Math.ceil(threads / 64)),
  });
}
