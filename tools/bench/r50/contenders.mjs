// @ts-check
/** The contenders of r50.mjs, and what those that can't run lack. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../../workspace.mjs";

/**
 * @typedef {"detect" | "train" | "stages"} Action
 * @typedef {{
 *   title: string,
 *   kind: "ours" | "peer" | "limit",
 *   runs: Partial<Record<Action, number>>,
 *   command: readonly string[],
 *   job: object,
 *   env?: Record<string, string>,
 *   absent?: string | undefined,
 * }} Contender `runs`: of each action it can do, in one process after the warm-up; `job`: what its program is
 *   told beside the action.
 * @typedef {{ torch: string, torchvision?: string, cuda: boolean }} Python
 */

const here = (/** @type {string} */ name) => join(root, "tools", "bench", "r50", name);
const cache = join(root, ".cache", "bench");

/** @type {Map<string, Python | undefined>} */
const looked = new Map();

/** What a Python has of torch, undefined without. @param {string} python */
export function lookAt(python) {
  // Importing it takes seconds.
  if (!looked.has(python)) looked.set(python, importTorch(python));
  return looked.get(python);
}

/** @param {string} python @returns {Python | undefined} */
function importTorch(python) {
  const code = `
import json, torch
found = dict(torch=torch.__version__, cuda=torch.cuda.is_available())
try:
    import torchvision
    found["torchvision"] = torchvision.__version__
except Exception:
    pass
print(json.dumps(found))`;
  const { status, stdout } = spawnSync(python, ["-c", code], { encoding: "utf8" });
  return status === 0 ? JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}") : undefined;
}

/** @param {string} name */
function isInstalled(name) {
  try {
    createRequire(join(cache, "package.json")).resolve(name);
    return true;
  } catch {
    return false;
  }
}

// The steps of Debian's and of pip's torch.
const debian = "apt-get install python3-torch python3-torchvision libopenblas0-pthread";
const venv = "python3 -m venv .cache/bench/torch && .cache/bench/torch/bin/pip install torch==2.13.0 numpy";

/**
 * @param {{ threads: number, python: string, newPython: string, cuda: boolean, tensorflow: boolean }} here
 *   `python` has torchvision, `newPython` the newest torch; `cuda`: there is a GPU; `tensorflow`: tfjs-node
 *   is set up.
 * @returns {Contender[]}
 */
export function contendersOf({ threads, python, newPython, cuda, tensorflow }) {
  const plural = (/** @type {number} */ n) => `${n} thread${n === 1 ? "" : "s"}`;
  const cpuOnly = { CUDA_VISIBLE_DEVICES: "" };
  /** @returns {Pick<Contender, "command" | "job">} */
  const node = (/** @type {string} */ program, /** @type {string} */ contender, own = threads) => ({
    command: [process.execPath, here(program)],
    job: { contender, threads: own },
  });
  const oursAbsent = tensorflow ? undefined : "npm run setup:tensorflow";

  /** @returns {Contender} */
  const onTensorflow = (/** @type {string} */ precision, device = "cpu", runs = 3) => ({
    title: `@mrcnn, tensorflow, ${device === "cuda" ? "CUDA, " : ""}${precision}`,
    kind: "ours",
    runs: { detect: runs, train: 1, stages: runs },
    command: [process.execPath, here("ours.mjs")],
    job: { contender: "tensorflow", threads, precision, device },
    env: device === "cuda" ? {} : cpuOnly,
    absent: oursAbsent,
  });
  /** @returns {Contender} */
  const onWasm = (/** @type {number} */ own) => ({
    title: `@mrcnn, wasm, ${plural(own)}`,
    kind: "ours",
    runs: { detect: 1, ...(own > 1 && { train: 1 }) },
    ...node("ours.mjs", "wasm", own),
  });
  /** @returns {Contender} */
  const onWebgpu = (/** @type {string} */ precision) => ({
    title: `@mrcnn, webgpu, ${precision}`,
    kind: "ours",
    runs: { detect: 10, stages: 10, ...(precision === "float32" && { train: 5 }) },
    command: [process.execPath, here("ours.mjs")],
    job: { contender: "webgpu", threads, precision },
  });
  /** @returns {Contender} */
  const onnx = (
    /** @type {string} */ title,
    /** @type {string} */ contender,
    own = threads,
    runs = 1,
    absent = isInstalled(contender.split(" ")[0] ?? "") ? undefined : (
      `npm install --prefix .cache/bench ${onnxruntimes.join(" ")}`
    ),
  ) => ({
    title,
    kind: "peer",
    runs: { detect: runs },
    ...node("onnxruntime.mjs", contender, own),
    absent,
  });
  /** @returns {Contender} */
  const torchvision = (
    /** @type {string} */ own,
    /** @type {string} */ title,
    job = {},
    install = debian,
  ) => {
    const found = lookAt(own);
    return {
      title: `torchvision${found?.torchvision === undefined ? "" : ` ${found.torchvision} on torch ${found.torch}`}${title}`,
      kind: "peer",
      runs: { detect: 3, train: 1 },
      command: [own, here("torchvision_contender.py")],
      job: { threads, ...job },
      absent: found?.torchvision === undefined ? install : undefined,
    };
  };
  /** @returns {Contender} */
  const limit = (/** @type {"float32" | "bfloat16"} */ dtype) => {
    const found = lookAt(newPython);
    return {
      title: `torch ${found?.torch ?? "2.13"}, the products alone, ${dtype}`,
      kind: "limit",
      runs: { stages: 3, ...(dtype === "float32" && { train: 3 }) },
      command: [newPython, here("limit.py")],
      job: { threads, dtype },
      env: cpuOnly,
      absent: found === undefined ? venv : undefined,
    };
  };

  const onCpu = [
    onTensorflow("float32"),
    onTensorflow("bf16"),
    onnx("onnxruntime-node", "onnxruntime-node cpu", threads, 3),
    torchvision(python, ""),
    ...(newPython !== python && lookAt(newPython)?.torchvision !== undefined ?
      [torchvision(newPython, "")]
    : []),
    onWasm(1),
    onnx("onnxruntime-web, 1 thread", "onnxruntime-web wasm", 1),
    ...(threads > 1 ?
      [onWasm(threads), onnx(`onnxruntime-web, ${plural(threads)}`, "onnxruntime-web wasm")]
    : []),
    limit("float32"),
    limit("bfloat16"),
  ];
  if (!cuda) return onCpu;

  const cudaProvider = existsSync(
    join(
      cache,
      "node_modules",
      "onnxruntime-node",
      "bin",
      "napi-v6",
      "linux",
      "x64",
      "libonnxruntime_providers_cuda.so",
    ),
  );
  const cudaPython =
    [newPython, python].find((own) => lookAt(own)?.cuda === true && lookAt(own)?.torchvision !== undefined) ??
    newPython;
  return [
    onTensorflow("float32", "cuda", 10),
    onTensorflow("tf32", "cuda", 10),
    onWebgpu("float32"),
    onWebgpu("float16"),
    onnx(
      "onnxruntime-node, CUDA",
      "onnxruntime-node cuda",
      threads,
      10,
      cudaProvider ? undefined : (
        "npm install onnxruntime-node@1.30.0 in .cache/bench, without --ignore-scripts"
      ),
    ),
    onnx("onnxruntime-node, WebGPU", "onnxruntime-node webgpu", threads, 10),
    ...["float32", "tf32", "half"].flatMap((precision) =>
      [false, true].map((compiled) => ({
        ...torchvision(
          cudaPython,
          `, CUDA, ${precision}${compiled ? ", compiled" : ""}`,
          { device: "cuda", precision, compiled },
          "python3 -m venv .cache/bench/torch && .cache/bench/torch/bin/pip install torch torchvision numpy",
        ),
        runs: { detect: 10, train: 5 },
      })),
    ),
    ...onCpu,
  ];
}

/** What the peers in Node need, and the plot; installed into .cache/bench. */
export const onnxruntimes = ["onnxruntime-node@1.30.0", "onnxruntime-web@1.30.0"];
