import type { Dataset } from "@mrcnn/core";
import { toFullBitmap } from "@mrcnn/masks";

/** SHA-256 of a data set's images, labels, boxes and masks, hexadecimal. */
export async function fingerprint(dataset: Dataset): Promise<string> {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < dataset.length; i++) {
    const { image, groundTruth } = await dataset.get(i);
    const arrays = [
      image.data,
      groundTruth.labels,
      groundTruth.boxes,
      ...groundTruth.masks.map((mask) => toFullBitmap(mask)),
    ];
    for (const array of arrays)
      parts.push(new Uint8Array(array.buffer, array.byteOffset, array.byteLength).slice());
  }
  const digest = await crypto.subtle.digest(
    "SHA-256",
    new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer()),
  );
  return Buffer.from(digest).toString("hex");
}
