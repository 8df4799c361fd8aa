// `npm run setup:tensorflow` with stand-ins for npm, g++, Python and pip on its PATH: what it says when one
// of them is missing or fails, and that what is half done is done again.
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { root } from "../workspace.mjs";

let folder: string;
const at = (...path: string[]): string => join(folder, ...path);
const write = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

/** A program on the PATH; its body is run by this Node with `args` and `fs` at hand. */
function standIn(name: string, body: string): void {
  write(
    at("bin", name),
    `#!${process.execPath}\nconst args = process.argv.slice(2), fs = require("fs"), path = require("path");\n${body}\n`,
  );
  chmodSync(at("bin", name), 0o755);
}

// A tfjs-node that computes what the self-test asks once its addon is there.
const TFJS_NODE = `
require("fs").readFileSync(__dirname + "/lib/napi-v8/tfjs_binding.node");
const value = (x, dtype) => ({ dtype, dataSync: () => [x] });
module.exports = {
  getBackend: () => "tensorflow", matMul: () => value(11), scalar() {}, ones() {}, fill() {}, tensor1d() {},
  backend: () => ({ binding: {}, executeMultipleOutputs: () => [value(2), value(3, "int32")], executeSingleOutput: () => value(0) }),
};`;
const BACKEND_CC = [
  "#include <cstring>",
  "    case TF_ATTR_STRING: {",
  "    case TF_ATTR_TYPE: {",
  "  TFE_ContextOptions *tfe_options = TFE_NewContextOptions();",
  "",
].join("\n");

const NPM = `
const folder = args[args.indexOf("--prefix") + 1] + "/node_modules/@tensorflow/tfjs-node/";
fs.mkdirSync(folder + "binding", { recursive: true });
fs.mkdirSync(folder + "scripts", { recursive: true });
fs.writeFileSync(folder + "index.js", ${JSON.stringify(TFJS_NODE)});
fs.writeFileSync(folder + "binding/tfjs_backend.cc", ${JSON.stringify(BACKEND_CC)});
fs.writeFileSync(folder + "scripts/install.js", 'console.error("incorrect header check"); process.exit(1)');`;

// Its probe finds a CUDA library once a package is unpacked that has it; only cuSOLVER must be linked to.
const PROBE = `#!${process.execPath}
const { existsSync } = require("fs"), nvidia = __dirname + "/wheel/nvidia/";
const libraries = { "libcuda.so.1": "", "libcudart.so.12": "cuda_runtime", "libcudnn.so.9": "cudnn", "libcusolver.so.11": "cuda_runtime" };
for (const [name, owner] of Object.entries(libraries)) {
  console.error(existsSync(nvidia + owner + "/lib/" + name) ? "Successfully opened dynamic library " + name : "Could not load dynamic library '" + name + "'; dlerror: none");
}`;
const COMPILER = `
const target = args[args.indexOf("-o") + 1];
if (!args.includes("-o")) process.exit(0);
fs.writeFileSync(target, target.endsWith("cuda-libraries") ? ${JSON.stringify(PROBE)} : "");
fs.chmodSync(target, 0o755);`;

// A wheel is a JSON of paths and texts here. What pip was asked for is written down.
const unzipOf = (unzip: string): string => `
if (args[0] === "-c") { ${unzip} }
else if (args[2] === "download") {
  const wanted = args.filter((arg) => /^(tensorflow|nvidia)/.test(arg));
  fs.appendFileSync(${JSON.stringify(at("asked"))}, wanted.join(" ") + "\\n");
  const dest = args[args.indexOf("--dest") + 1];
  const wheels = {
    tensorflow: ["tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2"],
    "nvidia-cuda-runtime-cu12": ["nvidia/cuda_runtime/lib/libcudart.so.12"],
    "nvidia-cudnn-cu12": ["nvidia/cudnn/lib/libcudnn.so.9"],
    "nvidia-cusolver-cu12": ["nvidia/cusolver/lib/libcusolver.so.11"],
  };
  for (const requirement of wanted) {
    const [name, version] = requirement.split(/[=<>]+/), gpu = name === "tensorflow";
    const files = Object.fromEntries((wheels[name] ?? wheels.tensorflow).map((file) => [file, ""]));
    files[name.replace("-", "_") + "-" + version + ".dist-info/METADATA"] =
      ["cuda-runtime", "cudnn", "cusolver", "nccl"].map((name) => "Requires-Dist: nvidia-" + name + "-cu12<99.0,>=9.1; extra == \\"and-cuda\\"").join("\\n");
    files["tensorflow/python/platform/build_info.py"] = "[('cuda_compute_capabilities', ['sm_60', 'compute_90']), ('cuda_version', '12.5.1'), ('cudnn_version', '9'), ('is_cuda_build', " + (gpu ? "True" : "False") + ")]";
    fs.writeFileSync(path.join(dest, name + ".whl"), JSON.stringify(files));
  }
}`;
const UNZIP = `
const [, , wheel, folder, wanted] = args;
for (const [name, text] of Object.entries(JSON.parse(fs.readFileSync(wheel)))) {
  if (!new RegExp("^(?:" + wanted + ")").test(name)) continue;
  fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  fs.writeFileSync(path.join(folder, name), text);
}`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mrcnn-setup-"));
  mkdirSync(at("bin"));
  symlinkSync("/bin/sh", at("bin", "sh"));
  standIn("npm", NPM);
  standIn("g++", COMPILER);
  standIn("python3", unzipOf(UNZIP));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
function start(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(
    process.execPath,
    [join(root, "tools", "setup", "tensorflow.mjs"), "--into", at("into"), ...args],
    { env: { PATH: at("bin"), ...env } },
  );
  const text = { out: "", err: "" };
  child.stdout.on("data", (chunk) => (text.out += chunk));
  child.stderr.on("data", (chunk) => (text.err += chunk));
  const ended: Promise<Ended> = once(child, "close").then(([code]) => ({
    code: code as number | null,
    ...text,
  }));
  return { child, ended };
}
const setup = (...args: string[]): Promise<Ended> => start(args).ended;
const asked = (): string[] => readFileSync(at("asked"), "utf8").trim().split("\n");
const ready = (): Record<string, unknown> =>
  JSON.parse(readFileSync(at("into", "ready.json"), "utf8")) as Record<string, unknown>;
/** Runs `code` in the script's process before it begins. */
const before = (code: string): Record<string, string> => {
  write(at("before.cjs"), code);
  return { NODE_OPTIONS: `--require ${at("before.cjs")}` };
};

describe.skipIf(process.platform !== "linux" || process.arch !== "x64")("setup:tensorflow", () => {
  it("builds against the wheel, and the second time finds it done", async () => {
    expect(await setup("--wheel")).toMatchObject({
      code: 0,
      err: "",
      out: expect.stringMatching(
        /is ready: addon built against tensorflow-cpu [\d.]+\.\nTo use it: export MRCNN_TENSORFLOW=/,
      ),
    });
    expect(ready()).toMatchObject({ patched: true, gpu: false });
    expect(existsSync(at("into", "wheel", "download"))).toBe(false);
    expect((await setup()).out).toContain("is set up already");
    expect(asked()).toHaveLength(1);
  });

  it.each<[string, () => void, RegExp]>([
    [
      "no compiler",
      () => rmSync(at("bin", "g++")),
      /^setup:tensorflow: No C\+\+ compiler \(g\+\+\)\. Install one .*apt install g\+\+/,
    ],
    [
      "a compiler without headers",
      () =>
        standIn(
          "g++",
          'if (args[0] !== "--version") { console.error("fatal error: filesystem: No such file"); process.exit(1); }',
        ),
      /can't compile C\+\+17, or lacks the standard library's headers[^]*fatal error: filesystem/,
    ],
    [
      "no Python",
      () => rmSync(at("bin", "python3")),
      /No Python found \(python3, python\).*Install python3 with pip/,
    ],
    [
      "Python without pip",
      () => standIn("python3", 'if (args[0] === "-m") process.exit(1);'),
      /python3 has no pip\. Install it .*python3-pip/,
    ],
    [
      "an npm that fails",
      () => standIn("npm", 'console.error("npm error code ENOTFOUND"); process.exit(1);'),
      /@tensorflow\/tfjs-node could not be installed \(exit code 1\)\. Check the network[^]*ENOTFOUND/,
    ],
    [
      "a pip that fails",
      () =>
        standIn(
          "python3",
          'if (args[2] === "download") { console.error("ERROR: No matching distribution found"); process.exit(1); }',
        ),
      /pip could not download tensorflow-cpu==[\d.]+ \(exit code 1\)\. Check the network[^]*No matching distribution/,
    ],
    ["a pip that brings nothing", () => standIn("python3", ""), /pip left no wheel behind/],
    [
      "a damaged wheel",
      () => standIn("python3", unzipOf('console.error("zipfile.BadZipFile: Bad CRC-32"); process.exit(1);')),
      /tensorflow-cpu\.whl could not be unpacked .*It is damaged[^]*Bad CRC-32/,
    ],
    [
      "a wheel of something else",
      () =>
        standIn(
          "python3",
          unzipOf(UNZIP.replace("(name)) continue", '(name) || name.includes("_cc")) continue')),
        ),
      /holds no libtensorflow_cc\.so\.2/,
    ],
    [
      "a compilation that fails",
      () =>
        standIn(
          "g++",
          'if (args.includes("-shared")) { console.error("cc1plus: out of memory"); process.exit(1); }',
        ),
      /addon could not be compiled \(exit code 1\)[^]*out of memory/,
    ],
    [
      "another tfjs-node",
      () => standIn("npm", `${NPM}\nfs.writeFileSync(folder + "binding/tfjs_backend.cc", "");`),
      /tfjs_backend\.cc must have .* once, got it 0 times/,
    ],
    [
      "an addon that does not load",
      () =>
        standIn(
          "npm",
          `${NPM}\nfs.writeFileSync(folder + "index.js", 'throw new Error("libtensorflow_cc.so.2: file too short")');`,
        ),
      /installed but its test fails \(exit code 1\)[^]*file too short/,
    ],
  ])(
    "says what is wrong, leaves nothing that looks ready, and does it right the next time: %s",
    async (_, breakIt, message) => {
      breakIt();
      const { code, err } = await setup("--wheel");
      expect(err).toMatch(message);
      expect(err).not.toMatch(/ {4}at .*tools\/setup/);
      expect(code).toBe(1);
      expect(existsSync(at("into", "ready.json"))).toBe(false);
      standIn("npm", NPM);
      standIn("g++", COMPILER);
      standIn("python3", unzipOf(UNZIP));
      expect(await setup("--wheel")).toMatchObject({ code: 0, err: "" });
    },
  );

  it("refuses a Node that tfjs-node does not run on, and a full disk", async () => {
    const node = await start(
      [],
      before(
        'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "24.1.0" } });',
      ),
    ).ended;
    expect(node).toMatchObject({
      code: 1,
      err: expect.stringMatching(/does not run on Node 24\.1\.0\. Use Node 20 or 22/),
    });
    const disk = await start(
      [],
      before(
        'require("fs").statfsSync = () => ({ bavail: 5, bsize: 1e8 }); require("module").syncBuiltinESMExports();',
      ),
    ).ended;
    expect(disk).toMatchObject({
      code: 1,
      err: expect.stringMatching(/Only 0\.5 GB free at .*into; 2 GB are needed/),
    });
  });

  it("falls back on the wheel where the installer's host is blocked, or its download broken", async () => {
    const server = createServer((_, response) => response.end("garbage")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const env = { TFJS_NODE_CDN_STORAGE: host };
    const alone = await start(["--installer"], env).ended;
    expect(alone).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /tfjs-node's installer did not work \(exit code 1\)\. Allow its download[^]*incorrect header check/,
      ),
    });
    const broken = await start([], env).ended;
    expect(broken).toMatchObject({
      code: 0,
      out: expect.stringMatching(/installer did not work \(exit code 1\)\. Building against/),
    });
    server.close();
    await once(server, "close");
    const blocked = await start(["--force"], env).ended;
    expect(blocked).toMatchObject({
      code: 0,
      out: expect.stringContaining(
        `installer did not work (${host} is out of reach (ECONNREFUSED)). Building against`,
      ),
    });
  });

  it("ends what it runs when it is stopped, and goes on the next time", async () => {
    standIn(
      "python3",
      `if (args[2] === "download") { fs.writeFileSync(${JSON.stringify(at("pid"))}, String(process.pid)); setInterval(() => {}, 1000); }`,
    );
    const { child, ended } = start(["--wheel"]);
    for (let waited = 0; !existsSync(at("pid")) && waited < 20_000; waited += 20)
      await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGTERM");
    expect(await ended).toMatchObject({
      code: 143,
      err: "setup:tensorflow: stopped. Run it again to go on.\n",
    });
    const alive = (): boolean => {
      const status = `/proc/${readFileSync(at("pid"), "utf8")}/status`;
      return existsSync(status) && !/^State:\s+Z/m.test(readFileSync(status, "utf8"));
    };
    await expect.poll(alive).toBe(false);
    standIn("python3", unzipOf(UNZIP));
    expect(await setup("--wheel")).toMatchObject({ code: 0 });
  });

  it("sets up again what is of an older script, of the CPU, or fails its test", async () => {
    await setup("--wheel");
    write(at("into", "ready.json"), JSON.stringify({ ...ready(), format: 1 }));
    expect((await setup("--wheel")).out).toMatch(
      /older version of this script; setting it up again[^]*is ready/,
    );
    expect(asked()).toHaveLength(1);
    rmSync(at("into", "node_modules", "@tensorflow", "tfjs-node", "lib"), { recursive: true });
    expect((await setup("--wheel")).out).toMatch(/its test fails now; setting it up again[^]*is ready/);
    expect((await setup("--gpu", "--no-cuda")).out).toMatch(
      /set up for the CPU; setting it up again[^]*is ready/,
    );
    expect(ready()).toMatchObject({
      gpu: true,
      cuda: { version: "12.5.1", cudnn: "9", capabilities: ["sm_60", "compute_90"] },
    });
    expect((await setup()).out).toContain("is set up already");
  });

  it("fetches the CUDA libraries that are missing and no others", async () => {
    expect((await setup("--gpu")).out).toContain("No NVIDIA GPU here");
    write(at("into", "wheel", "nvidia", "cuda_runtime", "lib", "libcudart.so.12"), "");
    standIn("nvidia-smi", "");
    expect(await setup("--gpu")).toMatchObject({
      code: 0,
      err: "",
      out: expect.stringContaining("Downloading libcudnn.so.9, libcusolver.so.11 ("),
    });
    expect(asked().slice(1)).toEqual(["nvidia-cudnn-cu12<99.0,>=9.1 nvidia-cusolver-cu12<99.0,>=9.1"]);
    expect(existsSync(at("into", "wheel", "nvidia", "cuda_runtime", "lib", "libcusolver.so.11"))).toBe(true);
    expect((await setup("--gpu")).out).toContain("All CUDA libraries are here.");
  });

  it("removes nothing but what it made", async () => {
    write(at("into", "package.json"), '{ "name": "an-app" }');
    for (const option of ["--force", "--uninstall", "--wheel"])
      expect((await setup(option)).err).toMatch(/into holds something else\. Name an empty folder/);
    rmSync(at("into"), { recursive: true });
    await setup("--wheel");
    expect(await setup("--uninstall")).toMatchObject({ code: 0, out: `Removed ${at("into")}.\n` });
    expect(existsSync(at("into"))).toBe(false);
  });

  it.each(["--gpus", "--installer --wheel", "--cuda"])(
    "shows its options after wrong ones: %s",
    async (options) => {
      const { code, err } = await setup(...options.split(" "));
      expect(code).toBe(1);
      expect(err).toMatch(/^setup:tensorflow: .*--.*\nUsage: npm run setup:tensorflow/);
    },
  );
});
