/** Implicit windows: convolutions and their gradients as operands of matrix products. */
import { backend_util } from "@tensorflow/tfjs-core";
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { Param } from "../program.ts";
import { elements } from "./operand.ts";
import type { Element, Operand } from "./operand.ts";

/** Attributes of a convolution as TensorFlow.js and `@mrcnn/nn` name them. */
export interface ConvAttrs {
  readonly strides: number | readonly [number, number];
  readonly pad: "same" | "valid" | number | readonly (readonly [number, number])[];
  readonly dilations?: number | readonly [number, number] | undefined;
  readonly dataFormat?: "NHWC" | "NCHW" | undefined;
  readonly dimRoundingMode?: "floor" | "round" | "ceil" | undefined;
  readonly groups?: number | undefined;
}

/** Sizes of a convolution, `[y, x]` where there are two. */
export interface Geometry {
  readonly batch: number;
  readonly input: readonly [number, number];
  readonly output: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  /** Zeros before the input; those after it follow from the output. */
  readonly before: readonly [number, number];
  readonly inChannels: number;
  readonly outChannels: number;
  readonly groups: number;
}

export function geometryOf(
  inputShape: readonly number[],
  filterShape: readonly number[],
  attrs: ConvAttrs,
): Geometry {
  const { strides, pad, dilations = 1, dimRoundingMode, groups = 1 } = attrs;
  const info = backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides as number,
    dilations as number,
    pad as number,
    dimRoundingMode,
  );
  return {
    batch: info.batchSize,
    input: [info.inHeight, info.inWidth],
    output: [info.outHeight, info.outWidth],
    kernel: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    before: [info.padInfo.top, info.padInfo.left],
    inChannels: info.inChannels,
    outChannels: info.outChannels,
    groups,
  };
}

const uniforms = (g: Geometry): Record<string, Param> => ({
  inHeight: g.input[0],
  inWidth: g.input[1],
  outHeight: g.output[0],
  outWidth: g.output[1],
  taps: g.kernel[0],
  tapsAcross: g.kernel[1],
  strideY: g.strides[0],
  strideX: g.strides[1],
  dilationY: g.dilations[0],
  dilationX: g.dilations[1],
  beforeY: g.before[0],
  beforeX: g.before[1],
  inChannels: g.inChannels,
  inGroup: g.inChannels / g.groups,
});

/** Tells whether the rows of the product are the input's own pixels: each makes one of the output. */
export const isPointwise = ({ kernel, strides, before, input, output }: Geometry): boolean =>
  kernel[0] * kernel[1] * strides[0] * strides[1] === 1 &&
  before[0] + before[1] === 0 &&
  input[0] === output[0] &&
  input[1] === output[1];

// Reads x at a tap of an output's pixel, zero in the padding; both kinds of windows use it.
const read = (isVector: boolean): string => `
fn pixel(image: u32, y: i32, x: i32, channel: u32) -> ${isVector ? "vec4<f32>" : "f32"} {
  if (y < 0 || x < 0 || u32(y) >= params.inHeight || u32(x) >= params.inWidth) { return ${isVector ? "vec4<f32>" : "f32"}(0); }
  return a[(((image * params.inHeight + u32(y)) * params.inWidth + u32(x)) * params.inChannels + channel)${isVector ? " / 4" : ""}];
}`;

/**
 * Makes operand A of a convolution: rows are the output's pixels, the depth is (tap y, tap x, channel); never
 * stored.
 */
export function windows(x: TensorInfo, geometry: Geometry): Operand {
  const isVector = (geometry.inChannels / geometry.groups) % 4 === 0;
  return {
    key: `a windows ${isVector ? "x4" : "x1"}`,
    source: `${read(isVector)}
struct AOuter { image: u32, y: i32, x: i32, channel: u32, valid: bool }
struct AInner { y: i32, x: i32, channel: u32, valid: bool }
fn aOuter(z: u32, row: u32) -> AOuter {
  let across = row % params.outWidth;
  let down = row / params.outWidth;
  let y = i32(down % params.outHeight * params.strideY) - i32(params.beforeY);
  return AOuter(down / params.outHeight, y, i32(across * params.strideX) - i32(params.beforeX), z * params.inGroup, row < params.rows);
}
fn aInner(z: u32, k: u32) -> AInner {
  let tap = k / params.inGroup;
  return AInner(i32(tap / params.tapsAcross * params.dilationY), i32(tap % params.tapsAcross * params.dilationX), k % params.inGroup, k < params.depth);
}
fn aLoad(o: AOuter, i: AInner) -> ${isVector ? "vec4<f32>" : "f32"} {
  if (!(o.valid && i.valid)) { return ${isVector ? "vec4<f32>" : "f32"}(0); }
  return pixel(o.image, o.y + i.y, o.x + i.x, o.channel + i.channel);
}`,
    along: "depth",
    isVector,
    inputs: { a: elements(x, isVector) },
    params: uniforms(geometry),
  };
}

/**
 * Makes operand A of the filter's gradient, the same values transposed: rows are (tap y, tap x, channel), the
 * depth is the output's pixels.
 */
export function turnedWindows(x: TensorInfo, geometry: Geometry): Operand {
  const isVector = (geometry.inChannels / geometry.groups) % 4 === 0;
  return {
    key: `a turned windows ${isVector ? "x4" : "x1"}`,
    source: `${read(isVector)}
struct AOuter { y: i32, x: i32, channel: u32, valid: bool }
struct AInner { image: u32, y: i32, x: i32, valid: bool }
fn aOuter(z: u32, row: u32) -> AOuter {
  let tap = row / params.inGroup;
  return AOuter(i32(tap / params.tapsAcross * params.dilationY), i32(tap % params.tapsAcross * params.dilationX), z * params.inGroup + row % params.inGroup, row < params.rows);
}
fn aInner(z: u32, k: u32) -> AInner {
  let across = k % params.outWidth;
  let down = k / params.outWidth;
  let y = i32(down % params.outHeight * params.strideY) - i32(params.beforeY);
  return AInner(down / params.outHeight, y, i32(across * params.strideX) - i32(params.beforeX), k < params.depth);
}
fn aLoad(o: AOuter, i: AInner) -> ${isVector ? "vec4<f32>" : "f32"} {
  if (!(o.valid && i.valid)) { return ${isVector ? "vec4<f32>" : "f32"}(0); }
  return pixel(i.image, o.y + i.y, o.x + i.x, o.channel);
}`,
    along: "outer",
    isVector,
    inputs: { a: elements(x, isVector) },
    params: uniforms(geometry),
  };
}

/**
 * Returns the division of the input's gradient into phases: a pixel of a strided input is reached by every
 * stride-th tap only, so pixels of the same phase, in y and x, form a separate product without
 * multiplications by zero. z is (group, phase y, phase x).
 */
export const phasesOf = ({ strides, dilations }: Geometry): readonly [number, number] | undefined =>
  // When dilated and strided, phases don't share their taps so simply.
  dilations[0] * dilations[1] === 1 ? strides
  : strides[0] * strides[1] === 1 ? [1, 1]
  : undefined;

const phaseFunctions = `
struct Phase { group: u32, down: u32, across: u32 }
fn phaseOf(z: u32) -> Phase { return Phase(z / (params.phasesY * params.phasesX), z / params.phasesX % params.phasesY, z % params.phasesX); }
// Phases of an axis: the first pixel of a phase, its pixels, and its taps.
fn firstOf(phase: u32, phases: u32, before: u32) -> u32 { return (phase + phases - before % phases) % phases; }
fn countOf(first: u32, all: u32, phases: u32) -> u32 { return (max(all, first) - first + phases - 1) / phases; }
fn firstY(p: Phase) -> u32 { return firstOf(p.down, params.phasesY, params.beforeY); }
fn firstX(p: Phase) -> u32 { return firstOf(p.across, params.phasesX, params.beforeX); }
fn pixelsY(p: Phase) -> u32 { return countOf(firstY(p), params.inHeight, params.phasesY); }
fn pixelsX(p: Phase) -> u32 { return countOf(firstX(p), params.inWidth, params.phasesX); }
fn tapsY(p: Phase) -> u32 { return countOf(p.down, params.taps, params.phasesY); }
fn tapsX(p: Phase) -> u32 { return countOf(p.across, params.tapsAcross, params.phasesX); }
struct Pixel { image: u32, y: u32, x: u32 }
fn pixelOf(p: Phase, row: u32) -> Pixel {
  let width = max(pixelsX(p), 1);
  let height = max(pixelsY(p), 1);
  let down = row / width;
  return Pixel(down / height, firstY(p) + down % height * params.phasesY, firstX(p) + row % width * params.phasesX);
}
fn rowsOf(z: u32) -> u32 { let p = phaseOf(z); return params.images * pixelsY(p) * pixelsX(p); }
fn depthOf(z: u32) -> u32 { let p = phaseOf(z); return tapsY(p) * tapsX(p) * params.outGroup; }
fn rowAt(z: u32, row: u32) -> u32 {
  let p = phaseOf(z);
  let at = pixelOf(p, row);
  return ((at.image * params.inHeight + at.y) * params.inWidth + at.x) * params.inChannels + p.group * params.inGroup;
}
fn channelAt(z: u32) -> u32 { return phaseOf(z).group * params.inGroup; }`;

/**
 * Makes the operands A and B of the input's gradient, and the location of its rows: rows are pixels of dx of
 * one phase, the depth is (tap y, tap x, output channel).
 */
export function gradientWindows(
  dy: TensorInfo,
  filter: TensorInfo,
  geometry: Geometry,
  phases: readonly [number, number],
  element: Element = "f32",
): { a: Operand; b: Operand; key: string; source: string; params: Record<string, Param> } {
  const outGroup = geometry.outChannels / geometry.groups;
  const isVector = outGroup % 4 === 0;
  const value = isVector ? "vec4<f32>" : "f32";
  const params = {
    ...uniforms(geometry),
    phasesY: phases[0],
    phasesX: phases[1],
    images: geometry.batch,
    outChannels: geometry.outChannels,
    outGroup,
  };
  return {
    a: {
      key: `a gradient windows ${isVector ? "x4" : "x1"}`,
      source: `
struct AOuter { image: u32, y: i32, x: i32, channel: u32, valid: bool }
struct AInner { y: i32, x: i32, channel: u32, valid: bool }
fn aOuter(z: u32, row: u32) -> AOuter {
  let p = phaseOf(z);
  let at = pixelOf(p, row);
  // Offset of the output's pixel that the phase's first tap reached it from.
  let y = (i32(at.y + params.beforeY) - i32(p.down)) / i32(params.phasesY);
  let x = (i32(at.x + params.beforeX) - i32(p.across)) / i32(params.phasesX);
  return AOuter(at.image, y, x, p.group * params.outGroup, row < rowsOf(z));
}
fn aInner(z: u32, k: u32) -> AInner {
  let p = phaseOf(z);
  let tap = k / params.outGroup;
  let across = max(tapsX(p), 1);
  return AInner(i32(tap / across * params.dilationY), i32(tap % across * params.dilationX), k % params.outGroup, k < depthOf(z));
}
fn aLoad(o: AOuter, i: AInner) -> ${value} {
  let y = o.y - i.y;
  let x = o.x - i.x;
  if (!(o.valid && i.valid) || y < 0 || x < 0 || u32(y) >= params.outHeight || u32(x) >= params.outWidth) { return ${value}(0); }
  return a[(((o.image * params.outHeight + u32(y)) * params.outWidth + u32(x)) * params.outChannels + o.channel + i.channel)${isVector ? " / 4" : ""}];
}`,
      along: "depth",
      isVector,
      inputs: { a: elements(dy, isVector) },
      params,
    },
    b: {
      key: `b gradient taps ${isVector ? "x4" : "x1"} ${element}`,
      source: `
struct BOuter { at: u32, valid: bool }
struct BInner { at: u32, valid: bool }
fn bOuter(z: u32, column: u32) -> BOuter { return BOuter(column * params.outChannels, column < params.inGroup); }
fn bInner(z: u32, k: u32) -> BInner {
  let p = phaseOf(z);
  let tap = k / params.outGroup;
  let across = max(tapsX(p), 1);
  let y = p.down + tap / across * params.phasesY;
  let x = p.across + tap % across * params.phasesX;
  return BInner((y * params.tapsAcross + x) * params.inGroup * params.outChannels + p.group * params.outGroup + k % params.outGroup, k < depthOf(z));
}
fn bLoad(o: BOuter, i: BInner) -> ${value} {
  if (!(o.valid && i.valid)) { return ${value}(0); }
  return ${value}(b[(o.at + i.at)${isVector ? " / 4" : ""}]);
}`,
      along: "depth",
      isVector,
      inputs: { b: elements(filter, isVector, element) },
      params: {},
    },
    key: "phases",
    source: phaseFunctions,
    params,
  };
}
