/** The pretrained model for cell nuclei: its weights file, size and accuracy. */

/** Facts about the model beside its weights file, which contains the config and class names itself. */
export const nuclei = {
  /** Name in the catalog of @mrcnn/mask-rcnn. */
  name: "nuclei",
  licence: "Apache-2.0",
  /** Size of the file in bytes, and its SHA-256. */
  bytes: 9482020,
  sha256: "7cc42ea0f5d7d7b1389d0489216e2dcdce273dc815c9a1a7ec46d1c52b4d5ad2",
  parameters: 4718331,
  categories: [{ id: 1, name: "nucleus" }],
  /** Average precision in percent, with at most 100 detections per image. */
  metrics: { dataset: "DSB 2018, 100 images held out", boxAP: 45.3, maskAP: 44.2 },
} as const;

/**
 * Returns the location of the weights: a file: URL in Node, in a page the URL under which its bundler serves
 * them. The name is a literal so that vite and webpack copy the file; nothing is fetched here.
 */
export function nucleiWeights(): URL {
  return new URL("../weights/nuclei.safetensors", import.meta.url);
}
