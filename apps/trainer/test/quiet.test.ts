// What the backends' own libraries write to stderr is not seen before a command's own words.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findTensorflow } from "@mrcnn/backend-cuda";
import { describe, expect, it } from "vitest";

const command = fileURLToPath(new URL("../bin/mrcnn.mjs", import.meta.url));
const cells = fileURLToPath(new URL("../../../packages/nuclei/samples/fluorescence.webp", import.meta.url));
const small = ["--model", "nuclei", "--min-size", "48", "--max-size", "64"];

const run = (
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; err: string[] }> =>
  new Promise((resolve, reject) => {
    // vitest's own may have started a backend with its variables.
    const { TF_CPP_MIN_LOG_LEVEL: _, VK_ICD_FILENAMES: __, ...own } = process.env;
    const child = spawn(process.execPath, [command, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...own, ...env },
    });
    let err = ""; // in a checkout that has changed, it is built first
    child.stderr.on("data", (data: Buffer) => (err += String(data)));
    child.on("error", reject);
    child.on("close", (code) =>
      resolve({ code, err: err.split("\n").filter((line) => line !== "" && line !== "Building …") }),
    );
  });

describe("stderr", () => {
  it("of --backend auto has the command's one line", async () => {
    const { code, err } = await run(["detect", cells, ...small]);
    expect({ code, err }).toEqual({
      code: 0,
      err: [expect.stringMatching(/^Backend: (tensorflow|webgpu|wasm), /)],
    });
  });

  // The loader of Vulkan and Dawn complain, each in lines of its own.
  it.runIf(process.platform === "linux")(
    "of a driver that is missing or is none has the command's error alone",
    async () => {
      for (const driver of [join(cells, "none.json"), cells]) {
        const { code, err } = await run(["detect", cells, ...small, "--backend", "webgpu"], {
          VK_ICD_FILENAMES: driver,
        });
        expect({ code, err }).toEqual({
          code: 1,
          err: [expect.stringMatching(/^error: startWebgpu: no GPU adapter was found\./)],
        });
      }
    },
  );

  const tensorflow = findTensorflow();
  const isQuiet =
    tensorflow !== undefined &&
    (tensorflow.patched !== true || existsSync(join(tensorflow.folder, "quiet.node")));
  it.runIf(isQuiet)(
    "of TensorFlow is empty, whatever its level was; with --verbose or a level of one's own it is not",
    async () => {
      expect(await run(["detect", cells, ...small, "--backend", "tensorflow"])).toEqual({ code: 0, err: [] });
      expect(
        await run(["detect", cells, ...small, "--backend", "tensorflow"], { TF_CPP_MIN_LOG_LEVEL: "3" }),
      ).toEqual({ code: 0, err: [] });
      for (const verbose of [
        await run(["detect", cells, ...small, "--backend", "tensorflow", "--verbose"]),
        await run(["detect", cells, ...small, "--backend", "tensorflow"], { TF_CPP_MIN_LOG_LEVEL: "0" }),
      ]) {
        expect(verbose.code).toBe(0);
        expect(verbose.err.join("\n")).toMatch(/TensorFlow|oneDNN/);
      }
    },
  );
});
