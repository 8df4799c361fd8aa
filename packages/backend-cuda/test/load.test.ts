import { afterEach, describe, expect, it } from "vitest";
import { loadTensorflow, tensorflowAvailable } from "@mrcnn/backend-cuda";

describe("loadTensorflow", () => {
  const before = process.env.MRCNN_TENSORFLOW;
  afterEach(() => {
    if (before === undefined) delete process.env.MRCNN_TENSORFLOW;
    else process.env.MRCNN_TENSORFLOW = before;
  });

  it("says what to run when tfjs-node is missing", async () => {
    process.env.MRCNN_TENSORFLOW = "/nowhere";
    expect(tensorflowAvailable()).toBe(false);
    await expect(loadTensorflow()).rejects.toThrow(/got none in \/nowhere.*npm run setup:tensorflow/s);
  });
});
