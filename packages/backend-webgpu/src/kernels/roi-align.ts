/** Kernels of RoIAlign and its gradient, for one map or a pyramid. */
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import {
  ROI_ALIGN,
  ROI_ALIGN_GRAD,
  ROI_ALIGN_PYRAMID,
  ROI_ALIGN_PYRAMID_GRAD,
} from "@mrcnn/roi-align/kernel";
import type {
  RoiAlignAttrs,
  RoiAlignGradAttrs,
  RoiAlignGradInputs,
  RoiAlignInputs,
  RoiAlignPyramidAttrs,
  RoiAlignPyramidInputs,
} from "@mrcnn/roi-align/kernel";
import type { MrcnnWebgpuBackend } from "../backend.ts";
import type { Given } from "../given.ts";
import { allocate, kernel } from "../kernel.ts";
import { run, spread } from "../program.ts";
import type { Param } from "../program.ts";

type Shape4D = readonly [number, number, number, number];

// The positions of a bin's samples along one axis, rounded as torchvision's.
const AXIS = /* wgsl */ `
struct Axis { begin: f32, bin: f32, samples: u32 }
fn axisOf(low: f32, high: f32, scale: f32, bins: u32) -> Axis {
  let begin = low * scale - params.offset;
  var extent = (high * scale - params.offset) - begin;
  if (params.offset == 0.0) { extent = max(extent, 1.0); }
  let bin = extent / f32(bins);
  let samples = select(u32(max(ceil(bin), 0.0)), params.samplingRatio, params.samplingRatio > 0u);
  return Axis(begin, bin, samples);
}
fn positionOf(axis: Axis, bin: u32, sample: u32) -> f32 {
  return (axis.begin + f32(bin) * axis.bin) + ((f32(sample) + 0.5) * axis.bin) / f32(axis.samples);
}`;

// The map from which a roi is pooled: its area is compared with that of each map but the first.
const LEVEL = /* wgsl */ `
fn levelOf(box: vec4f) -> u32 {
  let area = (box.z - box.x) * (box.w - box.y);
  return select(0u, 1u, area >= params.area1) + select(0u, 1u, area >= params.area2) + select(0u, 1u, area >= params.area3) + select(0u, 1u, area >= params.area4);
}`;

/*
 * One thread: one bin and VECTOR channels of one roi, neighbours in a workgroup being neighbouring channels.
 * Four reads of 4 * VECTOR bytes a sample, of which a bin has samplingRatio squared; 8 operations a value
 * read. The roi's map is chosen by its area.
 */
const forward = (maps: number, vector: string): string => /* wgsl */ `
${AXIS}
${LEVEL}
fn valueAt(level: u32, at: u32) -> ${vector} {
  switch (level) {
${Array.from({ length: maps - 1 }, (_, i) => `    case ${i}u: { return level${i}[at]; }`).join("\n")}
    default: { return level${maps - 1}[at]; }
  }
}
fn sizeOf(level: u32) -> vec2u {
  switch (level) {
${Array.from({ length: maps - 1 }, (_, i) => `    case ${i}u: { return vec2u(params.height${i}, params.width${i}); }`).join("\n")}
    default: { return vec2u(params.height${maps - 1}, params.width${maps - 1}); }
  }
}
fn scaleOf(level: u32) -> f32 {
  switch (level) {
${Array.from({ length: maps - 1 }, (_, i) => `    case ${i}u: { return params.scale${i}; }`).join("\n")}
    default: { return params.scale${maps - 1}; }
  }
}
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let item = (group.x + group.y * params.gridX) * 64u + local;
  if (item >= params.items) { return; }
  let channel = item % params.channels;
  let bin = (item / params.channels) % (params.binsY * params.binsX);
  let roi = item / (params.channels * params.binsY * params.binsX);
  let box = boxes[roi];
  let level = levelOf(box);
  let size = sizeOf(level);
  let scale = scaleOf(level);
  let ys = axisOf(box.y, box.w, scale, params.binsY);
  let xs = axisOf(box.x, box.z, scale, params.binsX);
  let image = u32(imageIndex[roi]) * size.x;
  var sum = ${vector}(0.0);
  for (var sy = 0u; sy < ys.samples; sy++) {
    let y = positionOf(ys, bin / params.binsX, sy);
    if (!(y >= -1.0 && y <= f32(size.x))) { continue; }
    let top = min(u32(max(y, 0.0)), size.x - 1u);
    let bottom = min(top + 1u, size.x - 1u);
    let ty = select(max(y, 0.0) - f32(top), 0.0, top + 1u >= size.x);
    for (var sx = 0u; sx < xs.samples; sx++) {
      let x = positionOf(xs, bin % params.binsX, sx);
      if (!(x >= -1.0 && x <= f32(size.y))) { continue; }
      let left = min(u32(max(x, 0.0)), size.y - 1u);
      let right = min(left + 1u, size.y - 1u);
      let tx = select(max(x, 0.0) - f32(left), 0.0, left + 1u >= size.y);
      let upper = (image + top) * size.y;
      let lower = (image + bottom) * size.y;
      sum += ((1.0 - ty) * (1.0 - tx)) * valueAt(level, (upper + left) * params.channels + channel);
      sum += ((1.0 - ty) * tx) * valueAt(level, (upper + right) * params.channels + channel);
      sum += (ty * (1.0 - tx)) * valueAt(level, (lower + left) * params.channels + channel);
      sum += (ty * tx) * valueAt(level, (lower + right) * params.channels + channel);
    }
  }
  let samples = f32(max(ys.samples * xs.samples, 1u));
  pooled[item] = sum / samples;
}`;

// Number of cells that a workgroup of the gradient sums, and maximum number of bins along an axis.
const CELLS = 8;
const MOST_BINS = 64;
// With the rois, their images and the output this reaches 8, the number of buffers that every device has.
const MOST_MAPS = 5;

/*
 * One workgroup: 8 cells of a row of one map, 64 threads with VECTOR channels each. Gathers instead of using
 * atomics, so that a sum has one order. 64 rois at a time are tested, one by each thread, for whether they
 * reach the cells; for each that does, the threads divide its bins' weights on the cells among them (2.3 KB
 * of workgroup memory), then add up the bins with a weight. Reads dy about ceil(bins / cells) + 1 times along
 * each axis.
 */
const backward = (vector: string): string => /* wgsl */ `
${AXIS}
${LEVEL}
var<workgroup> hits: array<atomic<u32>, 2>;
var<workgroup> found: array<u32, 2>;
var<workgroup> weightsY: array<f32, ${MOST_BINS}>;
var<workgroup> weightsX: array<f32, ${MOST_BINS * CELLS}>;
// What a bin's samples weigh on a cell, their mean.
fn weightOn(axis: Axis, bin: u32, cell: u32, size: u32) -> f32 {
  var weight = 0.0;
  for (var s = 0u; s < axis.samples; s++) {
    let position = positionOf(axis, bin, s);
    if (!(position >= -1.0 && position <= f32(size))) { continue; }
    let inside = min(max(position, 0.0), f32(size - 1u));
    weight += max(0.0, 1.0 - abs(inside - f32(cell)));
  }
  return weight / f32(max(axis.samples, 1u));
}
// Whether an axis' samples can weigh on cells [first, last]: those up to a cell outside count for the border.
fn reaches(axis: Axis, bins: u32, first: u32, last: u32, size: u32) -> bool {
  let far = axis.begin + axis.bin * f32(bins);
  let least = min(axis.begin, far);
  let most = max(axis.begin, far);
  return most >= select(f32(first) - 1.0, -1.0, first == 0u) && least <= select(f32(last) + 1.0, f32(size), last + 1u >= size);
}
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let firstX = group.x * ${CELLS}u;
  let lastX = min(firstX + ${CELLS - 1}u, params.width - 1u);
  let y = group.y % params.height;
  let image = group.y / params.height;
  let channel = group.z * 64u + local;
  var sums: array<${vector}, ${CELLS}>;
  for (var i = 0u; i < ${CELLS}u; i++) { sums[i] = ${vector}(0.0); }
  for (var base = 0u; base < params.rois; base += 64u) {
    if (local < 2u) { atomicStore(&hits[local], 0u); }
    workgroupBarrier();
    let roi = base + local;
    if (roi < params.rois) {
      let box = boxes[roi];
      if (u32(imageIndex[roi]) == image && levelOf(box) == params.level) {
        let ys = axisOf(box.y, box.w, params.scale, params.binsY);
        let xs = axisOf(box.x, box.z, params.scale, params.binsX);
        if (reaches(ys, params.binsY, y, y, params.height) && reaches(xs, params.binsX, firstX, lastX, params.width)) { atomicOr(&hits[local / 32u], 1u << (local % 32u)); }
      }
    }
    workgroupBarrier();
    if (local < 2u) { found[local] = atomicLoad(&hits[local]); }
    for (var half = 0u; half < 2u; half++) {
      var bits = workgroupUniformLoad(&found[half]);
      while (bits != 0u) {
        let bit = firstTrailingBit(bits);
        bits &= bits - 1u;
        let hit = base + 32u * half + bit;
        let box = boxes[hit];
        let ys = axisOf(box.y, box.w, params.scale, params.binsY);
        let xs = axisOf(box.x, box.z, params.scale, params.binsX);
        workgroupBarrier();
        for (var i = local; i < params.binsY; i += 64u) { weightsY[i] = weightOn(ys, i, y, params.height); }
        for (var i = local; i < params.binsX * ${CELLS}u; i += 64u) {
          let cell = firstX + i % ${CELLS}u;
          weightsX[i] = select(0.0, weightOn(xs, i / ${CELLS}u, cell, params.width), cell < params.width);
        }
        workgroupBarrier();
        if (channel < params.channels) {
          for (var by = 0u; by < params.binsY; by++) {
            let weightY = weightsY[by];
            if (weightY == 0.0) { continue; }
            for (var bx = 0u; bx < params.binsX; bx++) {
              var any = 0.0;
              for (var i = 0u; i < ${CELLS}u; i++) { any += weightsX[bx * ${CELLS}u + i]; }
              if (any == 0.0) { continue; }
              let value = weightY * dy[((hit * params.binsY + by) * params.binsX + bx) * params.channels + channel];
              for (var i = 0u; i < ${CELLS}u; i++) { sums[i] += weightsX[bx * ${CELLS}u + i] * value; }
            }
          }
        }
      }
    }
    workgroupBarrier();
  }
  if (channel >= params.channels) { return; }
  for (var i = 0u; i < ${CELLS}u; i++) {
    if (firstX + i < params.width) { dx[((image * params.height + y) * params.width + firstX + i) * params.channels + channel] = sums[i]; }
  }
}`;

interface Pooling extends Omit<RoiAlignAttrs, "spatialScale"> {
  readonly areas: readonly number[];
}

const vectorOf = (channels: number): { size: 1 | 4; type: "f32" | "vec4f" } =>
  channels % 4 === 0 ? { size: 4, type: "vec4f" } : { size: 1, type: "f32" };

const paramsOf = ({
  outputHeight,
  outputWidth,
  samplingRatio,
  aligned,
  areas,
}: Pooling): Record<string, Param> => ({
  binsY: outputHeight,
  binsX: outputWidth,
  samplingRatio,
  offset: { f32: aligned ? 0.5 : 0 },
  ...Object.fromEntries(
    Array.from({ length: MOST_MAPS - 1 }, (_, i) => [`area${i + 1}`, { f32: areas[i] ?? Infinity }]),
  ),
});

function pool(
  backend: MrcnnWebgpuBackend,
  maps: readonly TensorInfo[],
  scales: readonly number[],
  { boxes, imageIndex }: Given<Pick<RoiAlignInputs, "boxes" | "imageIndex">>,
  attrs: Pooling,
): TensorInfo {
  const { outputHeight, outputWidth } = attrs;
  const channels = maps[0]!.shape[3]!;
  const rois = boxes.shape[0]!;
  const { size, type } = vectorOf(channels);
  const pooled = allocate(backend, [rois, outputHeight, outputWidth, channels]);
  const items = (rois * outputHeight * outputWidth * channels) / size;
  const [x, y] = spread(Math.ceil(items / 64));
  const typed = (tensor: TensorInfo) => ({ tensor, as: type });
  run(backend, {
    name: `roi-align ${maps.length} ${type}`,
    source: forward(maps.length, type),
    inputs: {
      ...Object.fromEntries(maps.map((map, i) => [`level${i}`, typed(map)])),
      boxes: { tensor: boxes, as: "vec4f" },
      imageIndex,
    },
    outputs: { pooled: typed(pooled) },
    params: {
      channels: channels / size,
      items,
      gridX: x,
      ...paramsOf(attrs),
      ...Object.fromEntries(
        maps.flatMap(({ shape }, i) => [
          [`height${i}`, shape[1]!],
          [`width${i}`, shape[2]!],
          [`scale${i}`, { f32: scales[i]! }],
        ]),
      ),
    },
    workgroups: [x, y],
  });
  return pooled;
}

function spreadBack(
  backend: MrcnnWebgpuBackend,
  shape: Shape4D,
  level: number,
  scale: number,
  { dy, boxes, imageIndex }: Given<RoiAlignGradInputs>,
  attrs: Pooling,
): TensorInfo {
  const [images, height, width, channels] = shape;
  const { size, type } = vectorOf(channels);
  const dx = allocate(backend, shape);
  const typed = (tensor: TensorInfo) => ({ tensor, as: type });
  run(backend, {
    name: `roi-align gradient ${type}`,
    source: backward(type),
    inputs: { dy: typed(dy), boxes: { tensor: boxes, as: "vec4f" }, imageIndex },
    outputs: { dx: typed(dx) },
    params: {
      height,
      width,
      channels: channels / size,
      rois: boxes.shape[0]!,
      level,
      scale: { f32: scale },
      ...paramsOf(attrs),
    },
    workgroups: [Math.ceil(width / CELLS), images * height, Math.ceil(channels / size / 64)],
  });
  return dx;
}

const supports = ({ outputHeight, outputWidth }: RoiAlignAttrs | RoiAlignPyramidAttrs): boolean =>
  Math.max(outputHeight, outputWidth) <= MOST_BINS;

/** Computes RoIAlign of one map: one dispatch. */
export const roiAlign: KernelConfig = kernel<Given<RoiAlignInputs>, RoiAlignAttrs>(
  ROI_ALIGN,
  ({ inputs: { features, ...rois }, attrs: { spatialScale, ...pooling }, backend }) =>
    pool(backend, [features], [spatialScale], rois, { ...pooling, areas: [] }),
  supports,
);

/** Computes the gradient of RoIAlign of one map: one dispatch. */
export const roiAlignGrad: KernelConfig = kernel<Given<RoiAlignGradInputs>, RoiAlignGradAttrs>(
  ROI_ALIGN_GRAD,
  ({ inputs, attrs: { spatialScale, inputShape, ...pooling }, backend }) =>
    spreadBack(backend, inputShape, 0, spatialScale, inputs, { ...pooling, areas: [] }),
);

/** Computes RoIAlign of a whole pyramid of up to five maps: one dispatch. */
export const roiAlignPyramid: KernelConfig = kernel<Given<RoiAlignPyramidInputs>, RoiAlignPyramidAttrs>(
  ROI_ALIGN_PYRAMID,
  ({ inputs: { boxes, imageIndex, ...levels }, attrs: { spatialScales, ...pooling }, backend }) => {
    const maps = spatialScales.map((_, i) => (levels as Record<string, TensorInfo>)[`level${i}`]!);
    return pool(backend, maps, spatialScales, { boxes: boxes!, imageIndex: imageIndex! }, pooling);
  },
  (attrs) => supports(attrs) && attrs.spatialScales.length <= MOST_MAPS,
);

/** Computes the gradient of RoIAlign of a pyramid: one dispatch per level. */
export const roiAlignPyramidGrad: KernelConfig = kernel<Given<RoiAlignGradInputs>, RoiAlignPyramidAttrs>(
  ROI_ALIGN_PYRAMID_GRAD,
  ({ inputs, attrs: { spatialScales, inputShapes, ...pooling }, backend }) =>
    inputShapes.map((shape, i) => spreadBack(backend, shape, i, spatialScales[i]!, inputs, pooling)),
);
