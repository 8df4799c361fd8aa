/** What is known of the model beside its weights, whose file carries config and class names itself. */
export const nuclei = {
  /** In the catalog of @mrcnn/mask-rcnn. */
  name: "nuclei",
  licence: "Apache-2.0",
  /** Of the file, and its SHA-256. */
  bytes: 9482020,
  sha256: "4161d22fbd9be4f8dde558db2078a2e915be57615a4924898751d9ba1a7f4693",
  parameters: 4718331,
  categories: [{ id: 1, name: "nucleus" }],
  /** In percent, at most 100 detections an image. */
  metrics: { dataset: "DSB 2018, 100 images held out", boxAP: 36.0, maskAP: 34.9 },
} as const;

/**
 * Where the weights lie: a file: URL in Node, in a page the URL under which its bundler serves them. The
 * name stands written out so that vite and webpack take the file along; nothing is fetched here.
 */
export function nucleiWeights(): URL {
  return new URL("../weights/nuclei.safetensors", import.meta.url);
}
