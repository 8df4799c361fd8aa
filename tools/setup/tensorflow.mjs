#!/usr/bin/env node
// @ts-check
/**
 * Installs tfjs-node (backend "tensorflow") under .cache/tensorflow: `npm run setup:tensorflow`.
 *
 * It first tries tfjs-node's own installer. Where its download is blocked, the addon is built against the
 * TensorFlow of the Python wheel `tensorflow-cpu`: nothing of Python runs later, the wheel is only the source
 * of a current libtensorflow. For a GPU that is the first choice on Linux: the installer's TensorFlow 2.9 is
 * built for CUDA 11.2, older than the GPUs of 2022 and later.
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { platform } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { packageManager, root } from "../workspace.mjs";
import { tensorflowFolder } from "./backends.mjs";
import { fetchLibraries, hasGpu } from "./tensorflow/cuda.mjs";
import { SetupError, attempt, failure, killAll, lastLine, say } from "./tensorflow/process.mjs";
import { findPython } from "./tensorflow/python.mjs";
import { selfTest } from "./tensorflow/self-test.mjs";
import { TENSORFLOW, bringWheel, compile, cudaOf, findTools } from "./tensorflow/wheel.mjs";

const TFJS_NODE = "4.22.0";
const HEADERS = "1.9.0"; // of node-api-headers: tfjs-node's addon uses Node-API alone
const FORMAT = 4; // of what this script leaves behind; one of another format is set up again
// Downloads and what they unpack to lie side by side for a while.
const NEEDED_GB = { cpu: 2, gpu: 3, cuda: 6.5 };

const help = `Usage: npm run setup:tensorflow -- [options]
  --gpu         for an NVIDIA GPU; computes on the CPU where none is found
  --cuda        with --gpu: fetch the CUDA libraries that are missing, GPU or not
  --no-cuda     with --gpu: never fetch them (without either: where there is a GPU)
  --installer   tfjs-node's own installer and nothing else (TensorFlow 2.9; with --gpu, of CUDA 11.2)
  --wheel       build against the Python wheel of TensorFlow ${TENSORFLOW} and nothing else (with --gpu, of CUDA 12)
  --into DIR    set it up there; the environment variable MRCNN_TENSORFLOW=DIR chooses it later
  --force       start over, even when it is set up already
  --uninstall   remove it
  --help        show this`;

const options = {
  gpu: { type: "boolean" },
  cuda: { type: "boolean" },
  "no-cuda": { type: "boolean" },
  installer: { type: "boolean" },
  wheel: { type: "boolean" },
  into: { type: "string" },
  force: { type: "boolean" },
  uninstall: { type: "boolean" },
  help: { type: "boolean" },
};

function readOptions() {
  try {
    const { values } = parseArgs({
      options: /** @type {typeof options & Record<string, { type: "boolean" | "string" }>} */ (options),
    });
    return /** @type {{ [name in keyof typeof options]?: boolean } & { into?: string }} */ (values);
  } catch (error) {
    throw new SetupError(`${/** @type {Error} */ (error).message.split(". ")[0]}.\n${help}`);
  }
}

const MANIFEST = '{ "name": "mrcnn-tensorflow", "private": true }\n';

/**
 * Refuses a folder that holds something else: setting up and removing delete there.
 *
 * @param {string} folder
 */
function assertOurs(folder) {
  if (folder === tensorflowFolder || !existsSync(folder) || readdirSync(folder).length === 0) return;
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest) || readFileSync(manifest, "utf8") !== MANIFEST)
    throw new SetupError(`${folder} holds something else. Name an empty folder.`);
}

/** @param {string} folder @param {number} needed GB */
function assertRoom(folder, needed) {
  const disk = statfsSync(folder);
  const free = (disk.bavail * disk.bsize) / 1e9;
  if (free < needed)
    throw new SetupError(
      `Only ${free.toFixed(1)} GB free at ${folder}; ${needed} GB are needed. Free some, or choose another disk with --into.`,
    );
}

/** @param {string} folder @param {string} name */
async function npmInstall(folder, name) {
  mkdirSync(folder, { recursive: true });
  // A package.json of its own keeps npm from climbing into the workspace.
  writeFileSync(join(folder, "package.json"), MANIFEST);
  const result = await attempt(
    platform() === "win32" ? "npm.cmd" : "npm",
    [
      "install",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--no-save",
      "--prefix",
      folder,
      `${name}@${TFJS_NODE}`,
      `node-api-headers@${HEADERS}`,
    ],
    { cwd: folder },
  );
  if (!result.ok)
    throw failure(
      `${name} could not be installed`,
      "Check the network and `npm config get registry`.",
      result,
    );
  await shareTfjs(folder, name);
}

/**
 * Points tfjs-node at the workspace's copy of TensorFlow.js. Two copies do share one engine, but the
 * second one warns of every kernel that the first has registered.
 * @param {string} folder @param {string} name
 */
async function shareTfjs(folder, name) {
  if (!existsSync(join(root, "node_modules", "@tensorflow", "tfjs"))) {
    say("Installing the workspace ...");
    const result = await attempt("npx", ["--yes", packageManager(), "install", "--frozen-lockfile"], {
      cwd: root,
    });
    if (!result.ok)
      throw failure(
        "The workspace could not be installed",
        `Run \`npx ${packageManager()} install\` and look.`,
        result,
      );
  }
  const scope = join(folder, "node_modules", "@tensorflow");
  for (const other of readdirSync(scope)) {
    if (`@tensorflow/${other}` !== name) rmSync(join(scope, other), { recursive: true });
  }
  for (const shared of ["tfjs", "tfjs-core"])
    symlinkSync(join(root, "node_modules", "@tensorflow", shared), join(scope, shared), "junction");
}

/**
 * tfjs-node's installer; returns undefined when it worked, else why not, and what it said.
 * @param {string} folder @param {string} name @returns {Promise<{ why: string, output: string } | undefined>}
 */
async function runInstaller(folder, name) {
  const host =
    process.env.TFJS_NODE_CDN_STORAGE ?? process.env.CDN_STORAGE ?? "https://storage.googleapis.com/";
  if (!process.env.HTTPS_PROXY && !process.env.https_proxy) {
    // Blocked hosts often hang: ask first, briefly.
    try {
      await fetch(host, { method: "HEAD", signal: AbortSignal.timeout(15_000) });
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return {
        why: `${host} is out of reach (${/** @type {NodeJS.ErrnoException} */ (cause).code ?? cause})`,
        output: "",
      };
    }
  }
  const modules = join(folder, "node_modules");
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, PATH: [join(modules, ".bin"), process.env.PATH].join(delimiter) };
  // Where no compiled addon is to be had, node-gyp compiles it, and need not fetch headers that lie beside
  // Node.
  const prefix = dirname(dirname(process.execPath));
  if (existsSync(join(prefix, "include", "node", "node_api.h"))) env["npm_config_nodedir"] ??= prefix;
  const args = ["scripts/install.js", ...(name.endsWith("gpu") ? ["gpu", "download"] : [])];
  const result = await attempt(process.execPath, args, { cwd: join(modules, name), timeout: 600_000, env });
  if (!result.ok) return result;
  const test = await selfTest(folder, { patched: false, name });
  return test.ok ? undefined : { why: `it was installed but does not run: ${lastLine(test)}`, output: "" };
}

/**
 * What a setup leaves for the next run, and for the loader.
 * @typedef {{
 *   format: number, version: string, node: string, how: string, name: string, gpu: boolean, patched: boolean,
 *   cuda?: { version: string, cudnn: string, capabilities: string[] },
 * }} Ready `patched`: the addon takes lists as attributes, and a ConfigProto; `cuda`: what it was built for
 */

/**
 * @param {string} folder
 * @param {{ gpu: boolean, ways: readonly ("installer" | "wheel")[] }} what
 * @returns {Promise<Ready>}
 */
async function setUp(folder, { gpu, ways }) {
  const common = { format: FORMAT, version: TFJS_NODE, node: process.versions.node, gpu };
  if (ways.includes("installer")) {
    const name = gpu ? "@tensorflow/tfjs-node-gpu" : "@tensorflow/tfjs-node";
    say(`Installing ${name} ${TFJS_NODE} ...`);
    await npmInstall(folder, name);
    const blocked = await runInstaller(folder, name);
    if (blocked === undefined) return { ...common, how: `the installer of ${name}`, name, patched: false };
    if (!ways.includes("wheel"))
      throw failure(
        "tfjs-node's installer did not work",
        "Allow its download, or build against the Python wheel with --wheel (Linux).",
        blocked,
      );
    say(
      `tfjs-node's installer did not work (${blocked.why}). Building against TensorFlow's Python wheel instead.`,
    );
  }
  const { python, compiler } = await findTools();
  const name = "@tensorflow/tfjs-node"; // its source is tfjs-node-gpu's
  if (!ways.includes("installer")) {
    say(`Installing ${name} ${TFJS_NODE} ...`);
    await npmInstall(folder, name);
  }
  const wheel = await bringWheel(python, folder, { gpu });
  await compile(compiler, { folder, addon: join(folder, "node_modules", name), wheel, gpu });
  const test = await selfTest(folder, { patched: true, name });
  if (!test.ok) throw failure("tfjs-node is installed but its test fails", "Run again with --force.", test);
  const cuda = cudaOf(wheel);
  return {
    ...common,
    how: `addon built against ${gpu ? "tensorflow" : "tensorflow-cpu"} ${TENSORFLOW}`,
    name,
    patched: true,
    ...(cuda && { cuda }),
  };
}

/**
 * The setup that is there, when it is what was asked for and works.
 *
 * @param {string} folder
 * @param {{ gpu: boolean, ways: readonly string[] }} what
 */
async function existing(folder, { gpu, ways }) {
  const file = join(folder, "ready.json");
  if (!existsSync(file)) return undefined;
  const ready = /** @type {Ready} */ (JSON.parse(readFileSync(file, "utf8")));
  let why = "";
  if (ready.format !== FORMAT) why = "It was set up by an older version of this script";
  else if (gpu && !ready.gpu) why = "It was set up for the CPU";
  else if (!ways.includes(ready.patched ? "wheel" : "installer")) why = "It was set up in the other way";
  else if ((await selfTest(folder, ready)).ok) return ready;
  say(`${why || "It was set up, but its test fails now"}; setting it up again.`);
  if (why === "") rmSync(folder, { recursive: true });
  else rmSync(file);
  return undefined;
}

async function main() {
  const { gpu = false, cuda = false, installer = false, wheel = false, into, ...asked } = readOptions();
  if (asked.help) return say(help);
  if (installer && wheel) throw new SetupError(`--installer and --wheel exclude each other.\n${help}`);
  if ((cuda || asked["no-cuda"]) && !gpu)
    throw new SetupError(`--cuda and --no-cuda go with --gpu.\n${help}`);
  const folder = into === undefined ? tensorflowFolder : resolve(into);
  assertOurs(folder);
  if (asked.uninstall) {
    rmSync(folder, { recursive: true, force: true });
    return say(`Removed ${folder}.`);
  }
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= 23)
    throw new SetupError(
      `tfjs-node ${TFJS_NODE} does not run on Node ${process.versions.node}. Use Node 20 or 22.`,
    );
  if (gpu && platform() === "darwin")
    throw new SetupError("There is no CUDA for macOS. Run it without --gpu.");

  /** @type {("installer" | "wheel")[]} */
  let ways = ["installer", "wheel"];
  if (installer || (gpu && platform() === "win32")) ways = ["installer"];
  else if (wheel || gpu) ways = ["wheel"];
  if (asked.force) rmSync(folder, { recursive: true, force: true });
  let ready = await existing(folder, { gpu, ways });
  const already = ready !== undefined;
  if (ready === undefined) {
    mkdirSync(folder, { recursive: true });
    assertRoom(folder, gpu ? NEEDED_GB.gpu : NEEDED_GB.cpu);
    if (gpu && ways[0] === "wheel")
      say(
        `For the GPU: TensorFlow ${TENSORFLOW} of the Python wheel, which is of CUDA 12. (tfjs-node-gpu's own TensorFlow 2.9 is of CUDA 11.2 and cuDNN 8.1, for GPUs up to 2021: --installer takes it.)`,
      );
    ready = await setUp(folder, { gpu, ways });
    writeFileSync(
      join(folder, "ready.json"),
      `${JSON.stringify({ ...ready, date: new Date().toISOString() }, null, 2)}\n`,
    );
  }
  if (gpu && ready.cuda !== undefined) {
    if (cuda || (!asked["no-cuda"] && (await hasGpu()))) {
      assertRoom(folder, NEEDED_GB.cuda);
      await fetchLibraries(await findPython(), folder, join(folder, "wheel"));
    } else if (!asked["no-cuda"]) {
      say("No NVIDIA GPU here, so CUDA's libraries are not fetched; --cuda does.");
    }
  }
  say(
    already ?
      `Backend "tensorflow" is set up already (${ready.how}). Start over with --force.`
    : `Backend "tensorflow" is ready: ${ready.how}.`,
  );
  if (into !== undefined) say(`To use it: export MRCNN_TENSORFLOW=${folder}`);
}

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.on(signal, () => {
    killAll();
    process.stderr.write("setup:tensorflow: stopped. Run it again to go on.\n");
    process.exit(signal === "SIGINT" ? 130 : 143);
  });
}
try {
  await main();
} catch (error) {
  process.stderr.write(
    `setup:tensorflow: ${error instanceof SetupError ? error.message : /** @type {Error} */ (error).stack}\n`,
  );
  process.exitCode = 1;
}
