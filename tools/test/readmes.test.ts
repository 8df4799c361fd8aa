// Every package's README has the common shape, and its first example runs.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setBackend } from "@tensorflow/tfjs";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { backendState } from "../setup/backends.mjs";
import { folders, readJson, root } from "../workspace.mjs";

interface Manifest {
  readonly name: string;
  readonly description: string;
  readonly private?: boolean;
  readonly exports: Readonly<Record<string, { "@mrcnn/source"?: string }>>;
}
const manifests = new Map(folders("packages").map((folder) => [folder, readJson(`packages/${folder}/package.json`) as Manifest]));

/** The source file of "@mrcnn/model/training". */
function sourceOf(specifier: string): string {
  const [, folder = "", ...rest] = specifier.split("/");
  const entry = manifests.get(folder)?.exports[[".", ...rest].join("/")]?.["@mrcnn/source"];
  if (entry === undefined) throw new Error(`${specifier} is not exported`);
  return join(root, "packages", folder, entry);
}

// The example becomes a file of its package, so that it finds the package's dependencies; ours are read from source.
function exampleFile(folder: string, readme: string): string {
  const code = /```(?:ts|js)\n([\s\S]*?)```/.exec(readme)?.[1];
  if (code === undefined) throw new Error(`packages/${folder}/README.md has no example`);
  const file = join(root, "packages", folder, ".cache", "readme.ts");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, code.replace(/"(@mrcnn\/[^"]+)"/g, (_, specifier: string) => JSON.stringify(sourceOf(specifier))));
  return file;
}

// tfjs-node is not here by default; the example of testing is a test itself.
const notRun = ["backend-cuda", "testing", ...(backendState("webgpu").available ? [] : ["backend-webgpu"])];

beforeAll(() => void vi.spyOn(console, "log").mockImplementation(() => {}));
// Each example begins as in a process of its own.
beforeEach(() => void setBackend("cpu"));
afterAll(() => vi.restoreAllMocks());

describe.each([...manifests])("packages/%s/README.md", (folder, manifest) => {
  const readme = readFileSync(join(root, "packages", folder, "README.md"), "utf8");

  test("has its parts", () => {
    const headings = [...readme.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
    expect(readme.startsWith(`# ${manifest.name}\n\n`)).toBe(true);
    expect(headings).toEqual(expect.arrayContaining(manifest.private === true ? ["Example", "Exports"] : ["Install", "Example", "Exports", "Limits"]));
  });

  if (notRun.includes(folder)) return;
  test("has an example that runs", async () => {
    await import(exampleFile(folder, readme));
  });
});
