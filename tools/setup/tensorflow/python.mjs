// @ts-check
/** Gets a current TensorFlow and CUDA from Python's package index. Nothing of Python runs later. */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SetupError, attempt, failure } from "./process.mjs";

/** The first Python that has pip. @returns {Promise<string>} */
export async function findPython() {
  let found = "";
  for (const python of process.env.MRCNN_PYTHON ? [process.env.MRCNN_PYTHON] : ["python3", "python"]) {
    if ((await attempt(python, ["-m", "pip", "--version"])).ok) return python;
    if ((await attempt(python, ["--version"])).ok) found ||= python;
  }
  throw new SetupError(
    found ?
      `${found} has no pip. Install it (Debian: apt install python3-pip), or name another Python in MRCNN_PYTHON.`
    : `No Python found (${process.env.MRCNN_PYTHON ?? "python3, python"}); its package index is where TensorFlow comes from. Install python3 with pip (Debian: apt install python3-pip), or name one in MRCNN_PYTHON.`,
  );
}

// Python is here anyway, Node has no unzip. A damaged member fails its checksum.
const UNZIP = `
import re, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
archive.extractall(sys.argv[2], [name for name in archive.namelist() if re.match(sys.argv[3], name)])`;

/**
 * Downloads wheels and unpacks some of their files into `folder`; the wheels themselves are not kept.
 *
 * @param {string} python
 * @param {readonly string[]} requirements as pip takes them
 * @param {string} folder
 * @param {{ wanted: RegExp, dependencies: boolean }} options `wanted` matches from the start of a path on
 */
export async function unpackWheels(python, requirements, folder, { wanted, dependencies }) {
  const downloads = join(folder, "download");
  rmSync(downloads, { recursive: true, force: true });
  mkdirSync(downloads, { recursive: true });
  const args = [
    "-m",
    "pip",
    "download",
    "--quiet",
    "--no-cache-dir",
    "--disable-pip-version-check",
    "--only-binary=:all:",
    "--dest",
    downloads,
  ];
  if (!dependencies) args.push("--no-deps");
  // pip collects in the temporary folder, and /tmp is often small.
  const env = { ...process.env, TMPDIR: downloads };
  const timeout = 3_600_000;
  let result = await attempt(python, [...args, ...requirements], { env, timeout });
  // This Python may be too old or too new for the wheel; only its libraries matter, so any tag will do.
  if (!result.ok)
    result = await attempt(python, [...args, "--python-version", "3.12", ...requirements], { env, timeout });
  if (!result.ok)
    throw failure(
      `pip could not download ${requirements.join(" ")}`,
      "Check the network, the room on the disk and `pip config list`.",
      result,
    );
  const wheels = readdirSync(downloads).filter((name) => name.endsWith(".whl"));
  if (wheels.length === 0)
    throw failure(
      "pip left no wheel behind",
      `Try \`${python} -m pip download ${requirements.join(" ")}\` and look.`,
      result,
    );
  for (const wheel of wheels) {
    result = await attempt(python, ["-c", UNZIP, join(downloads, wheel), folder, wanted.source]);
    if (!result.ok)
      throw failure(
        `${wheel} could not be unpacked`,
        "It is damaged, or the disk is full. Run again.",
        result,
      );
    rmSync(join(downloads, wheel));
  }
  rmSync(downloads, { recursive: true });
}
