import { seededUniform } from "@mrcnn/testing";

/** Twin of `heatmaps` in tools/golden/keypoints.py. */
export function seededHeatmaps(name: string, rois: number, side: number, count: number): Float32Array {
  const f = Math.fround;
  const noise = Float32Array.from(seededUniform(name, rois * side * side * count), (u) => u - 0.5);
  return noise.map((value, i) => {
    const column = Math.floor(i / count) % side;
    const row = Math.floor(i / (count * side)) % side;
    const left = noise[column === 0 ? i : i - count]!;
    const up = noise[row === 0 ? i : i - count * side]!;
    return f(f(value + left) + up) * f(8 / 3);
  });
}
