#!/usr/bin/env node
// @ts-check
// Compiles assembly/ (AssemblyScript) into src/simd-module.ts: `npm run assemble`. --check only says
// whether that file is up to date.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = join(root, "src", "simd-module.ts");

/** @param {readonly string[]} more */
async function compile(more) {
  /** @type {Uint8Array | undefined} */
  let binary;
  const { error, stderr } = await asc.main(
    [
      "assembly/index.ts",
      "--outFile",
      "out.wasm",
      "-O3",
      "--noAssert",
      "--runtime",
      "stub",
      "--importMemory",
      "--enable",
      "simd",
      ...more,
    ],
    {
      readFile: (name, base) => {
        try {
          return readFileSync(join(base, name), "utf8");
        } catch {
          return null;
        }
      },
      writeFile: (_, contents) => {
        if (typeof contents !== "string") binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || binary === undefined)
    throw new Error(`AssemblyScript: ${stderr.toString()}`, { cause: error });
  return Buffer.from(binary).toString("base64");
}

process.chdir(root);
const lines = [
  "// Made from assembly/ by tools/assemble.mjs; do not edit.",
  "",
  "/** The compiled kernels, for a memory of one thread and for a shared one. */",
  `export const ownMemory: string = ${JSON.stringify(await compile([]))};`,
  `export const sharedMemory: string = ${JSON.stringify(await compile(["--enable", "threads", "--sharedMemory", "--maximumMemory", "65536"]))};`,
  "",
];
const text = lines.join("\n");
if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== text) {
    process.stderr.write(
      "src/simd-module.ts is older than assembly/: run `npm run assemble` in packages/backend-wasm.\n",
    );
    process.exitCode = 1;
  }
} else writeFileSync(target, text);
