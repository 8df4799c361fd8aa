import { seededUniform } from "@mrcnn/testing";

/** The values of `spread` in tools/golden/losses.py. */
export function spread(name: string, length: number, width: number): Float32Array {
  return Float32Array.from(seededUniform(name, length), (value) => (value - 0.5) * width);
}
