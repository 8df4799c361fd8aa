import { backendState } from "../../../tools/setup/backends.mjs";
import { memory } from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs";
import { createMaskRcnn, dryRun, maskRcnnConfig } from "@mrcnn/model";
import { beforeAll, describe, expect, it } from "vitest";
import { webgpuBackend } from "../src/index.ts";
import { startWebgpu } from "../src/node.ts";

describe.skipIf(!backendState("webgpu").available)("compileAhead", () => {
  beforeAll(() => startWebgpu());

  it("leaves nothing to compile for a detection, computes nothing, and changes no answer", async () => {
    const backend = webgpuBackend();
    const model = createMaskRcnn(
      maskRcnnConfig({
        classes: ["a", "b"],
        image: { minSize: 64, maxSize: 64 },
        backbone: { depth: 18, width: 8, norm: "group_norm", groups: 4, trainableLayers: 5 },
        fpn: { channels: 8 },
        box: { representation: 16 },
        maskHead: { layers: [8], channels: 8 },
        keypoints: ["nose", "tail"],
        keypointHead: { layers: [8] },
      }),
    );
    const options = { scoreThreshold: 0, maxDetections: 20 };
    const tensors = memory().numTensors;
    backend.resetTraffic();
    await backend.compileAhead((pretend) => dryRun(model, { height: 64, width: 80 }, options, pretend));
    expect(backend.traffic.dispatches).toBe(0);
    expect(memory().numTensors).toBe(tensors);

    // From here on nothing may be compiled but by mistake.
    const compiled: string[] = [];
    const create = backend.device.createComputePipeline.bind(backend.device);
    backend.device.createComputePipeline = (descriptor) => {
      compiled.push(descriptor.label ?? "one of TensorFlow.js's");
      return create(descriptor);
    };
    const image = {
      height: 64,
      width: 80,
      data: Uint8Array.from({ length: 3 * 64 * 80 }, (_, i) => (i * 7) % 256),
    };
    const [found] = await model.detect([image], options);
    expect(compiled).toEqual([]);
    expect(found!.scores.length).toBe(20);
    backend.device.createComputePipeline = create;
    model.dispose();

    await startWebgpu(); // a device that has compiled nothing ahead
    const again = createMaskRcnn(model.config);
    const [fresh] = await again.detect([image], options);
    expect([...found!.scores]).toEqual([...fresh!.scores]);
    again.dispose();
  });
});
