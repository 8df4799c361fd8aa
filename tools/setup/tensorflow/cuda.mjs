// @ts-check
/**
 * Provides CUDA for the addon: finds the libraries that TensorFlow needs, and gets missing ones from NVIDIA's
 * wheels.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join, relative } from "node:path";
import { unpackWheels } from "./python.mjs";
import { SetupError, attempt, failure, say } from "./process.mjs";

/**
 * A program that lets TensorFlow's own loader open what it would open for a GPU; its log tells each
 * library's name, and why it could not be opened. So names and versions are those of this TensorFlow.
 */
export const PROBE = "cuda-libraries";
export const PROBE_SOURCE = `\
#include <cstdlib>
#include <unistd.h>
#include "xla/tsl/platform/default/dso_loader.h"

int main(int, char **argv) {
  // Read before main begins.
  if (std::getenv("TF_CPP_VMODULE") == nullptr) {
    setenv("TF_CPP_VMODULE", "dso_loader=1", 1);
    setenv("TF_CPP_MIN_LOG_LEVEL", "0", 1);
    execv("/proc/self/exe", argv);
  }
  (void)tsl::internal::DsoLoader::GetCudaDriverDsoHandle();
  (void)tsl::internal::DsoLoader::MaybeTryDlopenGPULibraries();
}
`;

/** Whether an NVIDIA GPU with its driver is here. */
export async function hasGpu() {
  if (existsSync("/proc/driver/nvidia/version")) return true;
  // Under WSL the driver lies beside the system.
  for (const command of ["nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"])
    if ((await attempt(command, ["-L"], { timeout: 30_000 })).ok) return true;
  return false;
}

/**
 * The CUDA libraries that TensorFlow could not open, the driver's apart.
 * @param {string} folder @returns {Promise<string[]>}
 */
export async function missingLibraries(folder) {
  const result = await attempt(join(folder, PROBE), [], { timeout: 60_000 });
  const names = [...result.output.matchAll(/Could not load dynamic library '([^']+)'/g)].map(
    ([, name = ""]) => name,
  );
  if (!result.ok || !/dynamic library/.test(result.output))
    throw failure(
      "TensorFlow does not tell which CUDA libraries it wants",
      "Run again with --force.",
      result,
    );
  return names.filter((name) => name !== "libcuda.so.1");
}

/** NVIDIA's package of a library: "libcudnn.so.9" is in "cudnn". @param {string} library */
function packageOf(library) {
  const name = library.replace(/^lib/, "").replace(/\.so.*/, "");
  if (name === "cudart") return "cuda-runtime";
  return name === "cublasLt" ? "cublas" : name.toLowerCase();
}

/**
 * The requirements of `tensorflow[and-cuda]` from the wheel's own metadata: "nvidia-cudnn-cu12<10.0,>=9.3".
 * @param {string} wheel @returns {string[]}
 */
export function cudaRequirements(wheel) {
  const info = readdirSync(wheel).find((name) => name.endsWith(".dist-info"));
  const metadata = readFileSync(join(wheel, info ?? "", "METADATA"), "utf8");
  return [...metadata.matchAll(/^Requires-Dist: (nvidia-\S+); extra == "and-cuda"/gm)].map(
    ([, requirement = ""]) => requirement,
  );
}

/**
 * Gets the missing libraries from NVIDIA's wheels, to where TensorFlow's own search path looks.
 * @param {string} python @param {string} folder @param {string} wheel
 */
export async function fetchLibraries(python, folder, wheel) {
  const missing = await missingLibraries(folder);
  if (missing.length === 0) return say("All CUDA libraries are here.");
  const requirements = cudaRequirements(wheel);
  const wanted = new Set(
    missing.map((library) => {
      const found = requirements.find((requirement) =>
        requirement.startsWith(`nvidia-${packageOf(library)}-cu`),
      );
      if (found === undefined)
        throw new SetupError(
          `${library} is missing, and this TensorFlow names no package that has it. Install it yourself, or run with --no-cuda.`,
        );
      return found;
    }),
  );
  say(`Downloading ${missing.join(", ")} (up to 2.4 GB, 3.5 GB unpacked) ...`);
  // With their dependencies (libcusparse needs libnvJitLink), and under another name until they are whole.
  const nvidia = join(wheel, "nvidia");
  const partial = join(wheel, "nvidia.partial");
  rmSync(partial, { recursive: true, force: true });
  await unpackWheels(python, [...wanted], partial, {
    wanted: /nvidia\/[^/]+\/lib\/[^/]+\.so/,
    dependencies: true,
  });
  mkdirSync(nvidia, { recursive: true });
  for (const name of readdirSync(join(partial, "nvidia"))) {
    rmSync(join(nvidia, name), { recursive: true, force: true });
    renameSync(join(partial, "nvidia", name), join(nvidia, name));
  }
  rmSync(partial, { recursive: true });

  // TensorFlow's search path has no folder of cuSOLVER; a link in one that it has helps.
  const searched = join(nvidia, "cuda_runtime", "lib");
  mkdirSync(searched, { recursive: true });
  for (const library of await missingLibraries(folder)) {
    const owner = readdirSync(nvidia).find((name) => existsSync(join(nvidia, name, "lib", library)));
    if (owner !== undefined)
      symlinkSync(relative(searched, join(nvidia, owner, "lib", library)), join(searched, library));
  }
  const left = await missingLibraries(folder);
  if (left.length > 0)
    throw new SetupError(
      `TensorFlow still can't open ${left.join(", ")}. Run \`${join(folder, PROBE)}\` to see why.`,
    );
}
