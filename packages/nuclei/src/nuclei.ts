/** What is known of the model beside its weights, whose file carries config and class names itself. */
export const nuclei = {
  /** In the catalog of @mrcnn/mask-rcnn. */
  name: "nuclei",
  licence: "Apache-2.0",
  /** Of the file, and its SHA-256. */
  bytes: 9482020,
  sha256: "7cc42ea0f5d7d7b1389d0489216e2dcdce273dc815c9a1a7ec46d1c52b4d5ad2",
  parameters: 4718331,
  categories: [{ id: 1, name: "nucleus" }],
  /** In percent, at most 100 detections an image. */
  metrics: { dataset: "DSB 2018, 100 images held out", boxAP: 45.3, maskAP: 44.2 },
} as const;

/**
 * Where the weights lie: a file: URL in Node, in a page the URL under which its bundler serves them. The
 * name stands written out so that vite and webpack take the file along; nothing is fetched here.
 */
export function nucleiWeights(): URL {
  return new URL("../weights/nuclei.safetensors", import.meta.url);
}
