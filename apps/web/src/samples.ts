import { shapesDataset } from "@mrcnn/datasets";
import { make } from "./dom.ts";

/** Buttons with pictures that this project makes itself. */
export function createSamples(onChoose: (sample: { name: string; blob: Blob }) => void): HTMLElement[] {
  const data = shapesDataset({ count: 4, seed: 7 });
  return [0, 1, 2, 3].map((i) => {
    const canvas = make("canvas", { width: 128, height: 128 });
    void data.get(i).then(({ image }) => {
      const rgba = new Uint8ClampedArray(4 * 128 * 128).fill(255);
      for (let at = 0; at < 128 * 128; at++) rgba.set(image.data.subarray(3 * at, 3 * at + 3), 4 * at);
      canvas.getContext("2d")!.putImageData(new ImageData(rgba, 128, 128), 0, 0);
    });
    return make("button", { type: "button", ariaLabel: `Sample ${i + 1}`, onclick: () => canvas.toBlob((blob) => onChoose({ name: `sample-${i + 1}.png`, blob: blob! })) }, canvas);
  });
}
