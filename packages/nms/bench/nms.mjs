// @ts-check
// Median milliseconds of NMS over boxes of 10 to 110 pixels in a square image.
// Run after `npm run build`: node packages/nms/bench/nms.mjs
import { createRandom } from "@mrcnn/core";
import { batchedNmsOnHost, nmsOnHost } from "@mrcnn/nms";

/** @param {() => void} work */
const median = (work) => {
  const times = Array.from({ length: 15 }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return times.toSorted((a, b) => a - b)[7]?.toFixed(2);
};
const random = createRandom(1);
for (const { count, side } of [
  { count: 1000, side: 800 },
  { count: 2000, side: 800 },
  { count: 6000, side: 1300 },
]) {
  const boxes = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const [x, y] = [random.uniform() * side, random.uniform() * side];
    boxes.set([x, y, x + 10 + random.uniform() * 100, y + 10 + random.uniform() * 100], i * 4);
  }
  const scores = Float32Array.from({ length: count }, () => random.uniform());
  const groups = Int32Array.from({ length: count }, () => random.int(80));
  const options = { iouThreshold: 0.5 };
  const one = median(() => nmsOnHost(boxes, scores, options));
  const many = median(() => batchedNmsOnHost(boxes, scores, groups, options));
  console.log(
    `${count} boxes, ${nmsOnHost(boxes, scores, options).length} kept: ${one} ms; in 80 groups: ${many} ms`,
  );
}
