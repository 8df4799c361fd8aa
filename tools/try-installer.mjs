// @ts-check
/**
 * Tests tfjs-node's own installer where its hosts are blocked: `node tools/try-installer.mjs`. A server on
 * this machine replaces them; it serves the content of the wheel in .cache/tensorflow in the installer's
 * layout. Once with the addon to download, once without, so that node-gyp must compile it.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "./workspace.mjs";
import { tensorflowFolder } from "./setup/backends.mjs";

const wheel = join(tensorflowFolder, "wheel", "tensorflow");
const addon = join(tensorflowFolder, "node_modules", "@tensorflow", "tfjs-node");
const temporary = mkdtempSync(join(tmpdir(), "mrcnn-installer-"));
const files = join(temporary, "files");
const run = (/** @type {string} */ command, /** @type {string[]} */ args, cwd = temporary) =>
  void execFileSync(command, args, { cwd, stdio: "inherit" });

function packLibrary() {
  const lib = join(temporary, "library", "lib");
  mkdirSync(lib, { recursive: true });
  symlinkSync(join(wheel, "include"), join(lib, "..", "include"));
  for (const [name, file] of Object.entries({
    libtensorflow: "libtensorflow_cc.so.2",
    libtensorflow_framework: "libtensorflow_framework.so.2",
  })) {
    // Linked to by the first name, installed under the second, loaded by the name that is written in it.
    for (const as of new Set([`${name}.so`, `${name}.so.2.9.1`, file]))
      symlinkSync(join(wheel, file), join(lib, as));
  }
  const archive = join(files, "tensorflow", "libtensorflow", "libtensorflow-cpu-linux-x86_64-2.9.1.tar.gz");
  mkdirSync(dirname(archive), { recursive: true });
  // Each library goes in once, the other names as hard links to it.
  run(
    "tar",
    ["--create", "--dereference", "--use-compress-program=gzip -1", `--file=${archive}`, "include", "lib"],
    join(temporary, "library"),
  );
}

function packAddon() {
  const folder = join(temporary, "addon", "napi-v8");
  mkdirSync(folder, { recursive: true });
  run(
    "g++",
    [
      "-O1",
      "-fPIC",
      "-shared",
      "-std=c++17",
      "-w",
      "-DNODE_GYP_MODULE_NAME=tfjs_binding",
      "-DNAPI_VERSION=8",
      "-DBUILDING_NODE_EXTENSION",
      "-I..",
      `-I${join(wheel, "include")}`,
      `-I${join(tensorflowFolder, "node_modules", "node-api-headers", "include")}`,
      "binding/tfjs_backend.cc",
      "binding/tfjs_binding.cc",
      "-o",
      join(folder, "tfjs_binding.node"),
      `-L${wheel}`,
      "-l:libtensorflow_cc.so.2",
      "-l:libtensorflow_framework.so.2",
      "-Wl,-rpath,$ORIGIN/../../deps/lib",
    ],
    addon,
  );
  const archive = join(files, "napi-v8", "4.22.0", "CPU-linux-4.22.0.tar.gz");
  mkdirSync(dirname(archive), { recursive: true });
  run("tar", ["--create", "--gzip", `--file=${archive}`, "napi-v8"], join(temporary, "addon"));
}

packLibrary();
packAddon();
let serveAddon = true;
const server = createServer(({ method, url = "" }, response) => {
  const file = join(files, url);
  const found = existsSync(file) && statSync(file).isFile() && (serveAddon || !url.startsWith("/napi"));
  if (method === "GET") console.log(`${found ? 200 : 404} ${url}`);
  response.writeHead(found ? 200 : 404, found ? { "content-length": statSync(file).size } : {});
  if (found && method === "GET") createReadStream(file).pipe(response);
  else response.end();
}).listen(0, "127.0.0.1");
await once(server, "listening");
const host = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}/`;

for (serveAddon of [true, false]) {
  const into = join(temporary, "into");
  const began = performance.now();
  const setup = spawn(
    process.execPath,
    [join(root, "tools", "setup", "tensorflow.mjs"), "--installer", "--into", into],
    {
      stdio: "inherit",
      env: { ...process.env, TFJS_NODE_CDN_STORAGE: host, npm_config_tfjs_binding_binary_host_mirror: host },
    },
  );
  const [code] = await once(setup, "close");
  if (code !== 0) process.exitCode = 1;
  else
    console.log(
      `${serveAddon ? "addon downloaded" : "addon compiled"}: ${((performance.now() - began) / 1000).toFixed(0)} s. ${readFileSync(join(into, "ready.json"), "utf8")}`,
    );
  rmSync(into, { recursive: true, force: true });
}
server.close();
rmSync(temporary, { recursive: true, force: true });
