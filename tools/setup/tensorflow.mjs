#!/usr/bin/env node
// @ts-check
// `npm run setup:tensorflow`: puts tfjs-node (backend "tensorflow") under .cache/tensorflow.
//
// First the ordinary way, tfjs-node's own installer. Where its download is blocked, its addon is
// built against the TensorFlow of the Python wheel `tensorflow-cpu`: nothing of Python runs later,
// the wheel is only where a current libtensorflow comes from.
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statfsSync, symlinkSync, writeFileSync } from "node:fs";
import { arch, platform } from "node:os";
import { delimiter, join } from "node:path";
import { root } from "../workspace.mjs";
import { tensorflowFolder as folder } from "./backends.mjs";
import { patchBackend } from "./tensorflow/patches.mjs";

const TFJS_NODE = "4.22.0";
const TENSORFLOW = "2.21.0";
const HEADERS = "1.9.0"; // of node-api-headers: tfjs-node's addon uses Node-API alone
const NEEDED_GB = 3;
const FORMAT = 2; // of what this script leaves behind; one of another format is set up again

const help = `Usage: npm run setup:tensorflow -- [options]
  --force       start over, even when it is set up already
  --uninstall   remove it
  --wheel       skip tfjs-node's own installer, build against the Python wheel
  --help        show this`;

const ready = join(folder, "ready.json");
const modules = join(folder, "node_modules");
const addon = join(modules, "@tensorflow", "tfjs-node");
const wheelFolder = join(folder, "wheel");
const libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];

/** A failure with its remedy; printed without a stack. */
class SetupError extends Error {}

const say = (/** @type {string} */ text) => process.stdout.write(`${text}\n`);

/**
 * Runs a command without stdin; its output is kept and shown only when it fails.
 * @param {string} command @param {readonly string[]} args
 * @param {{ cwd?: string, timeout?: number, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ ok: boolean, output: string, why: string }>}
 */
function attempt(command, args, { cwd, timeout = 900_000, env = process.env } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: platform() !== "win32" });
    let output = "";
    let late = false;
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    const timer = setTimeout(() => {
      late = true;
      // The whole group: installers leave children behind.
      try {
        process.kill(platform() === "win32" ? /** @type {number} */ (child.pid) : -(/** @type {number} */ (child.pid)), "SIGKILL");
      } catch {}
    }, timeout);
    const done = (/** @type {boolean} */ ok, /** @type {string} */ why) => {
      clearTimeout(timer);
      resolve({ ok, output, why });
    };
    child.on("error", (error) => done(false, `${command}: ${error.message}`));
    child.on("close", (code) => done(code === 0, late ? `no end after ${timeout / 1000} s` : `exit code ${code}`));
  });
}

/** @param {string} output */
const tail = (output) => output.trim().split("\n").slice(-12).join("\n");

/** @param {string} what @param {string} remedy @param {{ output: string, why: string }} result */
const failure = (what, remedy, result) => new SetupError(`${what} (${result.why}). ${remedy}\n${tail(result.output)}`);

async function npmInstall() {
  mkdirSync(folder, { recursive: true });
  // A package.json of its own keeps npm from climbing into the workspace.
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const windows = platform() === "win32";
  const result = await attempt(
    windows ? "npm.cmd" : "npm",
    ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", folder, `@tensorflow/tfjs-node@${TFJS_NODE}`, `node-api-headers@${HEADERS}`],
    { cwd: folder },
  );
  if (!result.ok) throw failure("tfjs-node could not be installed", "Check the network and `npm config get registry`.", result);
}

/**
 * Points tfjs-node at the workspace's copy of TensorFlow.js. Two copies do share one engine, but the
 * second one warns of every kernel that the first has registered.
 */
async function shareTfjs() {
  if (!existsSync(join(root, "node_modules", "@tensorflow", "tfjs"))) {
    say("Installing the workspace ...");
    const result = await attempt("npx", ["--yes", "pnpm@10", "install", "--frozen-lockfile"], { cwd: root });
    if (!result.ok) throw failure("The workspace could not be installed", "Run `npx pnpm@10 install` and look.", result);
  }
  for (const name of readdirSync(join(modules, "@tensorflow"))) {
    if (name !== "tfjs-node") rmSync(join(modules, "@tensorflow", name), { recursive: true });
  }
  for (const name of ["tfjs", "tfjs-core"]) {
    symlinkSync(join(root, "node_modules", "@tensorflow", name), join(modules, "@tensorflow", name), "junction");
  }
}

/** tfjs-node's installer; returns undefined when it worked, else why not. @returns {Promise<string | undefined>} */
async function ordinary() {
  const host = process.env.TFJS_NODE_CDN_STORAGE ?? process.env.CDN_STORAGE ?? "https://storage.googleapis.com/";
  if (!process.env.HTTPS_PROXY && !process.env.https_proxy) {
    // Blocked hosts often hang: ask first, briefly.
    try {
      await fetch(host, { method: "HEAD", signal: AbortSignal.timeout(15_000) });
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return `${host} is out of reach (${/** @type {NodeJS.ErrnoException} */ (cause).code ?? cause})`;
    }
  }
  const path = [join(modules, ".bin"), process.env.PATH].join(delimiter);
  const result = await attempt("node", ["scripts/install.js"], { cwd: addon, timeout: 600_000, env: { ...process.env, PATH: path } });
  if (!result.ok) return `${result.why}: ${tail(result.output).split("\n").at(-1)}`;
  const test = await selfTest({ patched: false });
  return test.ok ? undefined : `it was installed but does not run: ${tail(test.output).split("\n").at(-1)}`;
}

/** The first Python that has pip. @returns {Promise<string>} */
async function findPython() {
  let found = "";
  for (const python of [process.env.MRCNN_PYTHON, "python3", "python"]) {
    if (!python) continue;
    if ((await attempt(python, ["-m", "pip", "--version"])).ok) return python;
    if ((await attempt(python, ["--version"])).ok) found ||= python;
  }
  throw new SetupError(
    found
      ? `${found} has no pip. Install it (Debian: apt install python3-pip), or name another Python in MRCNN_PYTHON.`
      : "No Python found; its package index is where TensorFlow comes from. Install python3 with pip (Debian: apt install python3-pip), or name one in MRCNN_PYTHON.",
  );
}

async function downloadWheel() {
  if (libraries.every((name) => existsSync(join(wheelFolder, "tensorflow", name)))) return;
  const python = await findPython();
  rmSync(wheelFolder, { recursive: true, force: true });
  mkdirSync(wheelFolder, { recursive: true });
  const base = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--dest", wheelFolder, `tensorflow-cpu==${TENSORFLOW}`];
  say(`Downloading the wheel of tensorflow-cpu ${TENSORFLOW} (about 270 MB) ...`);
  let result = await attempt(python, base);
  // This Python may be too old or too new for the wheel; only its libraries matter, so any tag will do.
  if (!result.ok) result = await attempt(python, [...base, "--python-version", "3.12"]);
  if (!result.ok) throw failure("The wheel could not be downloaded", "Check the network and `pip config list`.", result);
  const wheel = readdirSync(wheelFolder).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) throw failure("pip left no wheel behind", "Run again with --force.", result);
  const unzip = [
    "import sys, zipfile",
    "archive = zipfile.ZipFile(sys.argv[1])",
    "wanted = ('tensorflow/libtensorflow_cc.so', 'tensorflow/libtensorflow_framework.so', 'tensorflow/include/')",
    "archive.extractall(sys.argv[2], [n for n in archive.namelist() if n.startswith(wanted)])",
  ].join("\n");
  result = await attempt(python, ["-c", unzip, join(wheelFolder, wheel), wheelFolder]);
  if (!result.ok) throw failure("The wheel could not be unpacked", "Is the disk full?", result);
  rmSync(join(wheelFolder, wheel));
  if (!libraries.every((name) => existsSync(join(wheelFolder, "tensorflow", name)))) {
    throw new SetupError(`The wheel holds no ${libraries.join(" or ")}. Run again with --force.`);
  }
}

async function compile() {
  const compiler = process.env.CXX ?? "g++";
  if (!(await attempt(compiler, ["--version"])).ok) {
    throw new SetupError(`No C++ compiler (${compiler}). Install one (Debian: apt install g++), or name it in CXX.`);
  }
  say("Compiling tfjs-node's addon (about 15 s) ...");
  const tensorflow = join(wheelFolder, "tensorflow");
  const target = join(addon, "lib", "napi-v8");
  mkdirSync(target, { recursive: true });
  const binding = join(addon, "binding");
  writeFileSync(join(binding, "patched_backend.cc"), patchBackend(readFileSync(join(binding, "tfjs_backend.cc"), "utf8")));
  const result = await attempt(
    compiler,
    [
      "-O2", "-fPIC", "-shared", "-std=c++17", "-w",
      "-DNODE_GYP_MODULE_NAME=tfjs_binding", "-DNAPI_VERSION=8", "-DBUILDING_NODE_EXTENSION",
      "-I..", `-I${join(tensorflow, "include")}`, `-I${join(modules, "node-api-headers", "include")}`,
      "binding/patched_backend.cc", "binding/tfjs_binding.cc", "-o", join(target, "tfjs_binding.node"),
      `-L${tensorflow}`, ...libraries.map((name) => `-l:${name}`), `-Wl,-rpath,${tensorflow}`,
    ],
    { cwd: addon },
  );
  if (!result.ok) throw failure("tfjs-node's addon could not be compiled", "A C++17 compiler is needed (g++ 9 or newer).", result);
  // node-pre-gyp names the folder after the Node-API version it settles on, which grows with Node.
  mkdirSync(join(addon, "lib", "napi-v9"), { recursive: true });
  copyFileSync(join(target, "tfjs_binding.node"), join(addon, "lib", "napi-v9", "tfjs_binding.node"));
}

/**
 * A matrix product on backend "tensorflow", in a process of its own; with the patches, lists as attributes too.
 * @param {{ patched: boolean }} what
 */
function selfTest({ patched }) {
  const script = [
    'const tf = require("@tensorflow/tfjs-node");',
    'if (tf.getBackend() !== "tensorflow") throw new Error("backend is " + tf.getBackend());',
    "const [y] = tf.matMul([[1, 2]], [[3], [4]]).dataSync();",
    'if (y !== 11) throw new Error("1*3 + 2*4 gave " + y);',
    ...(patched ? [PATCHES_TEST] : []),
    'process.stdout.write("TensorFlow " + tf.backend().binding.TF_Version);',
  ].join("\n");
  return attempt(process.execPath, ["-e", script], { cwd: folder, timeout: 120_000, env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" } });
}

const PATCHES_TEST = `
const { TF_ATTR_FLOAT, TF_ATTR_INT, TF_ATTR_STRING, TF_ATTR_TYPE, TF_FLOAT, TF_INT32 } = tf.backend().binding;
const attr = (name, type, value) => ({ name, type, value });
const [a, b] = tf.backend().executeMultipleOutputs("IdentityN", [attr("T", TF_ATTR_TYPE, [TF_FLOAT, TF_INT32])], [tf.scalar(2), tf.scalar(3, "int32")], 2);
if (a.dataSync()[0] !== 2 || b.dataSync()[0] !== 3 || b.dtype !== "int32") throw new Error("IdentityN gave " + a + " and " + b);
const [x, w, bias] = [tf.ones([1, 1, 1, 1]), tf.fill([1, 1, 1, 1], 2), tf.tensor1d([-5])];
const fused = tf.backend().executeSingleOutput("_FusedConv2D", [
  attr("T", TF_ATTR_TYPE, TF_FLOAT), attr("TArgs", TF_ATTR_TYPE, [TF_FLOAT]), attr("num_args", TF_ATTR_INT, 1),
  attr("strides", TF_ATTR_INT, [1, 1, 1, 1]), attr("padding", TF_ATTR_STRING, "SAME"), attr("fused_ops", TF_ATTR_STRING, ["BiasAdd", "Relu"]),
], [x, w, bias]).dataSync()[0];
if (fused !== 0) throw new Error("relu(1*2 - 5) gave " + fused);`;

async function main() {
  const options = process.argv.slice(2);
  const unknown = options.find((option) => !["--force", "--uninstall", "--wheel", "--help"].includes(option));
  if (unknown !== undefined) throw new SetupError(`Unknown option ${unknown}.\n${help}`);
  if (options.includes("--help")) return say(help);
  if (options.includes("--uninstall")) {
    rmSync(folder, { recursive: true, force: true });
    return say(`Removed ${folder}.`);
  }
  if (options.includes("--force")) rmSync(folder, { recursive: true, force: true });
  if (existsSync(ready)) {
    const { how, format, patched = false } = JSON.parse(readFileSync(ready, "utf8"));
    if (format !== FORMAT) {
      say("It was set up by an older version of this script; setting it up again.");
      rmSync(ready);
    } else if ((await selfTest({ patched })).ok) {
      return say(`Backend "tensorflow" is set up already (${how}). Start over with --force.`);
    } else {
      say("It was set up, but its test fails now; setting it up again.");
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= 23) throw new SetupError(`tfjs-node ${TFJS_NODE} does not run on Node ${process.versions.node}. Use Node 20 or 22.`);
  mkdirSync(folder, { recursive: true });
  const disk = statfsSync(folder);
  const free = (disk.bavail * disk.bsize) / 1e9;
  if (free < NEEDED_GB) throw new SetupError(`Only ${free.toFixed(1)} GB free at ${folder}; ${NEEDED_GB} GB are needed.`);

  say(`Installing tfjs-node ${TFJS_NODE} ...`);
  await npmInstall();
  await shareTfjs();
  let how = "tfjs-node's installer";
  const blocked = options.includes("--wheel") ? "skipped" : await ordinary();
  if (blocked !== undefined) {
    say(`tfjs-node's installer: ${blocked}. Building against TensorFlow's Python wheel instead.`);
    if (platform() !== "linux") {
      throw new SetupError(`That way exists on Linux only, and this is ${platform()}-${arch()}. Allow the download, or use backend "wasm", which needs no setup.`);
    }
    await downloadWheel();
    await compile();
    how = `addon built against tensorflow-cpu ${TENSORFLOW}`;
  }
  const test = await selfTest({ patched: blocked !== undefined });
  if (!test.ok) throw failure("tfjs-node is installed but its test fails", "Run again with --force.", test);
  writeFileSync(ready, `${JSON.stringify({ format: FORMAT, version: TFJS_NODE, how, patched: blocked !== undefined, node: process.versions.node, date: new Date().toISOString() }, null, 2)}\n`);
  say(`Backend "tensorflow" is ready: ${how}.`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`setup:tensorflow: ${error instanceof SetupError ? error.message : /** @type {Error} */ (error).stack}\n`);
  process.exitCode = 1;
}
