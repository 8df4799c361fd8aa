/** WGSL that decodes boxes, shared by the kernels that select them. */

/** The smallest normal float32 number. */
const LEAST_NORMAL = 2 ** -126;

/** Returns the constants of `DECODE`. */
export function decodeConstants(
  weights: readonly [number, number, number, number],
  maxLogScale: number,
  minSize: number,
): Record<string, number> {
  const [wx, wy, ww, wh] = weights;
  // WGSL has no infinity; no scale comes near this one. A device may flush a subnormal number to 0: such a
  // minimum only requires a size above 0.
  return {
    WEIGHT_X: wx,
    WEIGHT_Y: wy,
    WEIGHT_W: ww,
    WEIGHT_H: wh,
    MAX_LOG_SCALE: Math.min(maxLogScale, 1e30),
    MIN_SIZE: minSize > 0 ? Math.max(minSize, LEAST_NORMAL) : minSize,
  };
}

/**
 * WGSL for one box of `decodeBoxesOnHost`, `clipBoxesOnHost` and `filterSmallBoxesOnHost` of @mrcnn/boxes,
 * and for the sum of an image's extents.
 */
export const DECODE = /* wgsl */ `
fn decode(delta: vec4f, reference: vec4f, size: vec2f) -> vec4f {
  let weights = vec4f(WEIGHT_X, WEIGHT_Y, WEIGHT_W, WEIGHT_H);
  let scaled = delta / weights;
  let extent = reference.zw - reference.xy;
  let center = scaled.xy * extent + (reference.xy + 0.5 * extent);
  let half = 0.5 * (exp(min(scaled.zw, vec2f(MAX_LOG_SCALE))) * extent);
  let limit = size.yxyx;
  return min(max(vec4f(center - half, center + half), vec4f(0.0)), limit);
}
fn isLarge(box: vec4f) -> bool { return box.z - box.x >= MIN_SIZE && box.w - box.y >= MIN_SIZE; }
fn extend(image: u32, box: vec4f) {
  // No coordinate is negative, so that their bits are ordered as they are.
  let most = abs(max(max(box.x, box.y), max(box.z, box.w)));
  atomicMax(&extents[2u * image], bitcast<u32>(most));
  atomicAdd(&extents[2u * image + 1u], 1u);
}`;
