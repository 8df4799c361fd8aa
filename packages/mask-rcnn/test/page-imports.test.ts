// A page's bundle must not meet Node: what the page's entry imports is followed through all packages.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";

const packages = join(import.meta.dirname, "..", "..");
const STATIC =
  /(?:^|[\s;}])(?:import|export)\s(?!type\s)[^"';]*?from\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']/gm;

function resolve(specifier: string, from: string): string | undefined {
  if (specifier.startsWith(".")) return join(dirname(from), specifier);
  const [scope, name, ...rest] = specifier.split("/");
  if (scope !== "@mrcnn") return undefined;
  const { exports } = JSON.parse(readFileSync(join(packages, name!, "package.json"), "utf8")) as {
    exports: Record<string, { "@mrcnn/source": string }>;
  };
  return join(
    packages,
    name!,
    exports[
      ["./", ...rest]
        .join("/")
        .replace(/^\.\/\/?$/, ".")
        .replace("//", "/")
    ]!["@mrcnn/source"],
  );
}

/** Every module that is loaded with `entry`, and what they import of others. */
function follow(entry: string): { files: Set<string>; outside: Set<string> } {
  const files = new Set([entry]);
  const outside = new Set<string>();
  for (const file of files) {
    for (const [, named, bare] of readFileSync(file, "utf8").matchAll(STATIC)) {
      const specifier = (named ?? bare)!;
      const next = resolve(specifier, file);
      if (next === undefined) outside.add(specifier);
      else files.add(next);
    }
  }
  return { files, outside };
}

it("the page's entry loads nothing of Node", () => {
  const { files, outside } = follow(join(packages, "mask-rcnn", "src", "index.ts"));
  expect(files.size).toBeGreaterThan(50);
  // Not even on demand: a bundler would look for it.
  for (const file of files)
    expect(readFileSync(file, "utf8")).not.toMatch(/(?<!typeof )import\s*\([^)]*["'`]node:/);
  expect([...outside].toSorted()).toEqual([
    "@tensorflow/tfjs-backend-wasm",
    "@tensorflow/tfjs-core",
    "valibot",
  ]);
});

it("the catalog alone loads no tensors", () => {
  const { exports } = JSON.parse(readFileSync(join(packages, "mask-rcnn", "package.json"), "utf8")) as {
    exports: Record<string, Record<string, unknown>>;
  };
  expect(exports["."]!["browser"]).toMatchObject({ "@mrcnn/source": "./src/index.ts" });
  expect(exports["."]!["node"]).toMatchObject({ default: "./dist/node.js" });
  expect(
    [...follow(join(packages, "mask-rcnn", "src", "catalog.ts")).files].some((file) =>
      file.includes("/model/"),
    ),
  ).toBe(false);
});
