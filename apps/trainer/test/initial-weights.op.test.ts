import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRandom } from "@mrcnn/core";
import { createMaskRcnn, parseMaskRcnnConfig } from "@mrcnn/model";
import { describe, expect, it } from "vitest";
import { loadInitialWeights, readNpy } from "../src/initial-weights.ts";
import { temporaryFolder, tinyConfig } from "./command.ts";

const folder = temporaryFolder();

// numpy's format 1.0: magic, version, header length, header, values.
function npy(shape: readonly number[], values: readonly number[], descr = "<f4"): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const header = text.padEnd(117) + "\n";
  return Buffer.concat([Buffer.from("\u0093NUMPY\u0001\u0000", "latin1"), Buffer.from(Uint16Array.of(118).buffer), Buffer.from(header, "latin1"), Buffer.from(Float32Array.from(values).buffer)]);
}

const model = (norm: string): ReturnType<typeof createMaskRcnn> => {
  const { backbone, ...rest } = tinyConfig.model;
  return createMaskRcnn(parseMaskRcnnConfig({ ...rest, classes: ["a"], backbone: { ...backbone, norm } }, "test"), createRandom(0));
};

describe("readNpy", () => {
  it("reads values and shape", () => {
    expect(readNpy(npy([2, 3], [1, 2, 3, 4, 5, 6]), "f")).toEqual({ shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
    expect(readNpy(npy([2], [1, 2]), "f").shape).toEqual([2]);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["another type", npy([1], [1], "<f8"), /f: must hold float32/],
    ["a cut file", npy([4], [1, 2, 3, 4]).slice(0, -4), /f: must hold 4 values/],
    ["no .npy", new Uint8Array(64), /f: not a \.npy file/],
  ])("refuses %s", (_, bytes, message) => expect(() => readNpy(bytes, "f")).toThrow(message));
});

describe("loadInitialWeights", () => {
  const weights = join(folder, "weights");
  mkdirSync(weights);
  // conv1 of the tiny network: torch's [8, 3, 7, 7]; value = its place, so that the layout shows.
  writeFileSync(join(weights, "conv1.weight.npy"), npy([8, 3, 7, 7], Array.from({ length: 8 * 3 * 49 }, (_, i) => i)));
  writeFileSync(join(weights, "conv1.bias.npy"), npy([8], [1, 2, 3, 4, 5, 6, 7, 8]));
  writeFileSync(join(weights, "fc.bias.npy"), npy([10], Array(10).fill(1)));

  it("puts convolutions in place, and folded biases into frozen norms that are otherwise the identity", async () => {
    const net = model("frozen_batch_norm");
    const { found } = await loadInitialWeights(net, weights);
    expect(found).toBe(5);
    const read = async (name: string): Promise<number[]> => [...(await net.variables.get(`backbone.body.${name}`)!.data())];
    const conv = await read("conv1.weight");
    // [row 1, column 2, input 0, output 3] of HWIO is [3, 0, 1, 2] of torch's OIHW.
    expect(conv[((1 * 7 + 2) * 3 + 0) * 8 + 3]).toBe(((3 * 3 + 0) * 7 + 1) * 7 + 2);
    expect(await read("bn1.bias")).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(await read("bn1.weight")).toEqual(Array(8).fill(1));
    expect(await read("bn1.running_mean")).toEqual(Array(8).fill(0));
    expect(await read("bn1.running_var")).toEqual(Array(8).fill(1));
    net.dispose();
  });

  it("refuses a network they are of no use to", async () => {
    const net = model("group_norm");
    await expect(loadInitialWeights(net, weights)).rejects.toThrow('Set model.backbone.norm to "frozen_batch_norm"');
    net.dispose();
  });
});
