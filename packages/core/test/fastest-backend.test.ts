// Which of several backends computes where nobody has said.
import { describe, expect, it } from "vitest";
import { startFastest } from "../src/index.ts";
import type { BackendOffer, ComputeDevice } from "../src/index.ts";

type State = "absent" | "broken" | "cpu" | "gpu";

function offers(
  tensorflow: State,
  webgpu: "absent" | "broken" | "gpu",
  calls: string[],
): BackendOffer<ComputeDevice>[] {
  const offer = (name: string, mayUseGpu: boolean, state: State): BackendOffer<ComputeDevice>[] =>
    state === "absent" ?
      []
    : [
        {
          name,
          mayUseGpu,
          async start() {
            calls.push(name);
            if (state === "broken") throw new Error(`${name} does not start`);
            return { isGpu: state === "gpu" };
          },
          resume: async () => void calls.push(`${name} again`),
        },
      ];
  return [
    ...offer("tensorflow", true, tensorflow),
    ...offer("webgpu", true, webgpu),
    ...offer("wasm", false, "cpu"),
  ];
}

describe("startFastest", () => {
  it.each<[State, "absent" | "broken" | "gpu", string, string[]]>([
    ["gpu", "gpu", "tensorflow", ["tensorflow"]],
    ["gpu", "absent", "tensorflow", ["tensorflow"]],
    ["gpu", "broken", "tensorflow", ["tensorflow"]],
    ["cpu", "gpu", "webgpu", ["tensorflow", "webgpu"]],
    ["cpu", "broken", "tensorflow", ["tensorflow", "webgpu", "tensorflow again"]],
    ["cpu", "absent", "tensorflow", ["tensorflow", "tensorflow again"]],
    ["broken", "gpu", "webgpu", ["tensorflow", "webgpu"]],
    ["broken", "broken", "wasm", ["tensorflow", "webgpu", "wasm"]],
    ["absent", "gpu", "webgpu", ["webgpu"]],
    ["absent", "broken", "wasm", ["webgpu", "wasm"]],
    ["absent", "absent", "wasm", ["wasm"]],
  ])("with tensorflow %s and webgpu %s takes %3$s", async (tensorflow, webgpu, name, order) => {
    const calls: string[] = [];
    const chosen = await startFastest(offers(tensorflow, webgpu, calls));
    expect(chosen.name).toBe(name);
    expect(calls).toEqual(order);
    expect(chosen.device.isGpu).toBe(name === "tensorflow" ? tensorflow === "gpu" : name === "webgpu");
    const failed = [
      ...(tensorflow === "broken" ? ["tensorflow"] : []),
      ...(webgpu === "broken" && order.includes("webgpu") ? ["webgpu"] : []),
    ];
    expect([...chosen.failures].map(([who, { message }]) => [who, message])).toEqual(
      failed.map((who) => [who, `${who} does not start`]),
    );
  });

  it("says why the last did not start, when none does", async () => {
    const [tensorflow, webgpu] = offers("broken", "broken", []);
    await expect(startFastest([tensorflow!, webgpu!])).rejects.toThrow("webgpu does not start");
    await expect(startFastest([])).rejects.toThrow("no backend is on offer");
  });
});
