// @ts-check
/**
 * Builds tfjs-node's addon against the TensorFlow of a Python wheel: a current version, from hosts that are
 * seldom blocked.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { PROBE, PROBE_SOURCE } from "./cuda.mjs";
import { patchBackend, QUIET, QUIET_SOURCE } from "./patches.mjs";
import { findPython, unpackWheels } from "./python.mjs";
import { SetupError, attempt, failure, say } from "./process.mjs";

export const TENSORFLOW = "2.21.0";
const GLIBC = 2.27; // of the wheel's tag, manylinux_2_27
const libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];

/** @typedef {{ python: string, compiler: string }} Tools */

/**
 * Python, a compiler and a system that the wheel is for, all checked before anything is downloaded.
 *
 * @returns {Promise<Tools>}
 */
export async function findTools() {
  if (platform() !== "linux" || arch() !== "x64") {
    throw new SetupError(
      `Building against TensorFlow's Python wheel works on Linux on x64 only, and this is ${platform()}-${arch()}. Allow the download of tfjs-node's installer, or use backend "wasm", which needs no setup.`,
    );
  }
  const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  const [major = 0, minor = 0] = (header.glibcVersionRuntime ?? "").split(".").map(Number);
  if (major + minor / 100 < GLIBC) {
    throw new SetupError(
      `TensorFlow's Python wheel needs glibc ${GLIBC} or newer, and here is ${header.glibcVersionRuntime ?? "another C library (as on Alpine)"}. Use a newer system, or backend "wasm", which needs no setup.`,
    );
  }
  const compiler = process.env.CXX || "g++";
  if (!(await attempt(compiler, ["--version"])).ok) {
    throw new SetupError(
      `No C++ compiler (${compiler}). Install one (Debian: apt install g++), or name it in CXX.`,
    );
  }
  const trial = await attempt("sh", [
    "-c",
    `echo '#include <filesystem>' | ${compiler} -std=c++17 -fsyntax-only -x c++ -`,
  ]);
  if (!trial.ok)
    throw failure(
      `${compiler} can't compile C++17, or lacks the standard library's headers`,
      "g++ 9 or newer is needed (Debian: apt install g++), or name another compiler in CXX.",
      trial,
    );
  return { python: await findPython(), compiler };
}

/**
 * Unpacks the libraries and headers of a wheel to `folder/wheel`, unless they are there.
 *
 * @param {string} python
 * @param {string} folder
 * @param {{ gpu: boolean }} what
 * @returns {Promise<string>} where they are
 */
export async function bringWheel(python, folder, { gpu }) {
  const distribution = gpu ? "tensorflow" : "tensorflow-cpu";
  const wheel = join(folder, "wheel");
  const info = `${distribution.replace("-", "_")}-${TENSORFLOW}.dist-info`;
  if (existsSync(join(wheel, info))) return wheel;
  say(
    `Downloading the wheel of ${distribution} ${TENSORFLOW} (${gpu ? "570 MB, 1.3 GB" : "270 MB, 0.9 GB"} unpacked) ...`,
  );
  // Under another name until it is whole.
  const partial = join(folder, "wheel.partial");
  rmSync(partial, { recursive: true, force: true });
  const wanted =
    /tensorflow\/(libtensorflow_(cc|framework)\.so|include\/|python\/platform\/build_info\.py)|[^/]+\.dist-info\/METADATA/;
  await unpackWheels(python, [`${distribution}==${TENSORFLOW}`], partial, { wanted, dependencies: false });
  const lacking = libraries.find((name) => !existsSync(join(partial, "tensorflow", name)));
  if (lacking !== undefined || !existsSync(join(partial, info)))
    throw new SetupError(
      `The wheel of ${distribution} ${TENSORFLOW} holds no ${lacking ?? info}. Run again with --force.`,
    );
  rmSync(wheel, { recursive: true, force: true });
  renameSync(partial, wheel);
  return wheel;
}

/**
 * What the wheel's TensorFlow was built for, by its own record; undefined for the CPU alone.
 * @param {string} wheel @returns {{ version: string, cudnn: string, capabilities: string[] } | undefined}
 */
export function cudaOf(wheel) {
  const record = readFileSync(join(wheel, "tensorflow", "python", "platform", "build_info.py"), "utf8");
  const value = (/** @type {string} */ name) =>
    new RegExp(`\\('${name}', (?:'([^']*)'|\\[([^\\]]*)\\])`).exec(record)?.slice(1).find(Boolean) ?? "";
  if (!record.includes("('is_cuda_build', True)")) return undefined;
  return {
    version: value("cuda_version"),
    cudnn: value("cudnn_version"),
    capabilities: value("cuda_compute_capabilities").replaceAll(/['\s]/g, "").split(","),
  };
}

/**
 * Compiles the addon, patched, the one that keeps it quiet, and with CUDA the program that names its
 * libraries.
 *
 * @param {string} compiler
 * @param {{ folder: string, addon: string, wheel: string, gpu: boolean }} places
 */
export async function compile(compiler, { folder, addon, wheel, gpu }) {
  say("Compiling tfjs-node's addon (about 15 s) ...");
  const tensorflow = join(wheel, "tensorflow");
  const binding = join(addon, "binding");
  const target = join(addon, "lib", "napi-v8", "tfjs_binding.node");
  mkdirSync(join(target, ".."), { recursive: true });
  writeFileSync(
    join(binding, "patched_backend.cc"),
    patchBackend(readFileSync(join(binding, "tfjs_backend.cc"), "utf8")),
  );
  const include = join(tensorflow, "include");
  const link = (/** @type {readonly string[]} */ names) => [
    `-L${tensorflow}`,
    ...names.map((name) => `-l:${name}`),
    `-Wl,-rpath,${tensorflow}`,
  ];
  let result = await attempt(
    compiler,
    [
      "-O2",
      "-fPIC",
      "-shared",
      "-std=c++17",
      "-w",
      "-DNODE_GYP_MODULE_NAME=tfjs_binding",
      "-DNAPI_VERSION=8",
      "-DBUILDING_NODE_EXTENSION",
      "-I..",
      `-I${include}`,
      `-I${join(folder, "node_modules", "node-api-headers", "include")}`,
      "binding/patched_backend.cc",
      "binding/tfjs_binding.cc",
      "-o",
      target,
      ...link(libraries),
    ],
    { cwd: addon },
  );
  if (!result.ok)
    throw failure(
      "tfjs-node's addon could not be compiled",
      "A C++17 compiler is needed (g++ 9 or newer).",
      result,
    );
  // node-pre-gyp names the folder after the Node-API version it settles on, which grows with Node.
  mkdirSync(join(addon, "lib", "napi-v9"), { recursive: true });
  copyFileSync(target, join(addon, "lib", "napi-v9", "tfjs_binding.node"));

  const quiet = join(folder, "quiet.cc");
  writeFileSync(quiet, QUIET_SOURCE);
  const flags = [
    "-O2",
    "-fPIC",
    "-shared",
    "-w",
    "-DNODE_GYP_MODULE_NAME=quiet",
    "-DNAPI_VERSION=8",
    "-DBUILDING_NODE_EXTENSION",
  ];
  result = await attempt(
    compiler,
    [
      ...flags,
      `-I${join(folder, "node_modules", "node-api-headers", "include")}`,
      quiet,
      "-o",
      join(folder, QUIET),
    ],
    { cwd: folder },
  );
  if (!result.ok)
    throw failure(
      "The addon that keeps TensorFlow quiet could not be compiled",
      "A C++17 compiler is needed (g++ 9 or newer).",
      result,
    );

  if (!gpu) return;
  const source = join(folder, `${PROBE}.cc`);
  writeFileSync(source, PROBE_SOURCE);
  result = await attempt(
    compiler,
    ["-std=c++17", "-w", `-I${include}`, source, "-o", join(folder, PROBE), ...link(libraries.slice(1))],
    { cwd: folder },
  );
  if (!result.ok)
    throw failure(
      "The program that looks for CUDA could not be compiled",
      "A C++17 compiler is needed (g++ 9 or newer).",
      result,
    );
}
