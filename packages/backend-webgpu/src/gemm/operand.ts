/** Operands of matrix products as shader text. */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { Bound, Param } from "../program.ts";

/**
 * A factor of a matrix product as shader text. `outer` is a row of the left factor A or a column of the right
 * one B, `z` the index in the batch. The text declares, with `a` or `b` in the place of X:
 *
 *     struct XOuter {...}  struct XInner {...}
 *     fn xOuter(z: u32, outer: u32) -> XOuter          what loads of one row or column share
 *     fn xInner(z: u32, k: u32) -> XInner              what loads of one depth share
 *     fn xLoad(o: XOuter, i: XInner) -> vec4<f32>      zeros outside; f32 where `isVector` is false
 */
export interface Operand {
  /** Name that identifies the text. */
  readonly key: string;
  readonly source: string;
  /** Axis along which neighbours are contiguous in memory, and a load reads. */
  readonly along: "depth" | "outer";
  /** Whether a load returns four neighbours. */
  readonly isVector: boolean;
  /** The buffers, named "a" or "b". */
  readonly inputs: Readonly<Record<string, Bound>>;
  readonly params: Readonly<Record<string, Param>>;
}

/** Strides of a matrix in memory. */
export interface Layout {
  /** Distance from one row of A, or column of B, to the next; 1 when neighbours. */
  readonly outer: number;
  /** Distance from one depth to the next; 1 when neighbours. */
  readonly depth: number;
  /** Distance from one batch element to the next. */
  readonly batch: number;
}

/** Type of the elements in a tensor's buffer: "f16" is what `factorOf` packs. */
export type Element = "f32" | "f16";

export const elements = (tensor: TensorInfo, isVector: boolean, element: Element = "f32"): Bound => ({
  tensor,
  as: isVector ? `vec4<${element}>` : element,
});

/**
 * Makes the operand of a plain matrix, [rows, depth] or [depth, rows] (columns for B) for each batch element;
 * `sizes` are its extents.
 */
export function matrix(
  side: "a" | "b",
  tensor: TensorInfo,
  layout: Layout,
  sizes: { readonly outer: number; readonly depth: number },
  element: Element = "f32",
): Operand {
  const S = side.toUpperCase();
  const along =
    layout.depth === 1 && sizes.depth > 1 ? "depth"
    : layout.outer === 1 ? "outer"
    : "depth";
  const [near, far] = along === "depth" ? [sizes.depth, layout.outer] : [sizes.outer, layout.depth];
  const isVector = near % 4 === 0 && far % 4 === 0 && layout.batch % 4 === 0;
  const value = isVector ? "vec4<f32>" : "f32";
  return {
    key: `${side} matrix along ${along} ${value} ${element}`,
    source: `
struct ${S}Outer { at: u32, valid: bool }
struct ${S}Inner { at: u32, valid: bool }
fn ${side}Outer(z: u32, outer: u32) -> ${S}Outer { return ${S}Outer(z * params.${side}Batch + outer * params.${side}OuterStep, outer < params.${side}Outer); }
fn ${side}Inner(z: u32, k: u32) -> ${S}Inner { return ${S}Inner(k * params.${side}DepthStep, k < params.depth); }
fn ${side}Load(o: ${S}Outer, i: ${S}Inner) -> ${value} {
  if (!(o.valid && i.valid)) { return ${value}(0); }
  return ${value}(${side}[(o.at + i.at)${isVector ? " / 4" : ""}]);
}`,
    along,
    isVector,
    inputs: { [side]: elements(tensor, isVector, element) },
    params: {
      [`${side}Batch`]: layout.batch,
      [`${side}OuterStep`]: layout.outer,
      [`${side}DepthStep`]: layout.depth,
      [`${side}Outer`]: sizes.outer,
    },
  };
}
