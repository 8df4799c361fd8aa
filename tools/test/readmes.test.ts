// Every package's README has the common shape, and its first example runs and prints what its comments say.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setBackend } from "@tensorflow/tfjs";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { agrees, exampleOf, show, takeApart } from "../readme-example.mjs";
import { backendState } from "../setup/backends.mjs";
import { folders, readJson, root } from "../workspace.mjs";

interface Manifest {
  readonly name: string;
  readonly description: string;
  readonly private?: boolean;
  readonly exports: Readonly<Record<string, { "@mrcnn/source"?: string }>>;
}
const manifests = new Map(
  folders("packages").map((folder) => [folder, readJson(`packages/${folder}/package.json`) as Manifest]),
);

/** The source file of "@mrcnn/model/training". */
function sourceOf(specifier: string): string {
  const [, folder = "", ...rest] = specifier.split("/");
  const entry = manifests.get(folder)?.exports[[".", ...rest].join("/")]?.["@mrcnn/source"];
  if (entry === undefined) throw new Error(`${specifier} is not exported`);
  return join(root, "packages", folder, entry);
}

// The example becomes a file of its package, so that it finds the package's dependencies; ours are read from source.
function exampleFile(folder: string, code: string): string {
  const file = join(root, "packages", folder, ".cache", "readme.ts");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(
    file,
    code.replace(/"(@mrcnn\/[^"]+)"/g, (_, specifier: string) => JSON.stringify(sourceOf(specifier))),
  );
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
    expect(headings).toEqual(
      expect.arrayContaining(
        manifest.private === true ? ["Example", "Exports"] : ["Install", "Example", "Exports", "Limits"],
      ),
    );
  });

  const { code, stated, unchecked } = takeApart(exampleOf(readme) ?? "");

  test("has an example that prints the values it states", () => {
    expect(code.trim()).not.toBe("");
    expect(unchecked).toEqual([]);
  });

  if (notRun.includes(folder)) return;
  test("has an example that runs, and prints what its comments say", async () => {
    const printed: { line: number; values: unknown[] }[] = [];
    Object.assign(globalThis, {
      printed: (line: number, ...values: unknown[]) => printed.push({ line, values }),
    });
    await import(exampleFile(folder, code));
    expect([...stated.keys()].filter((line) => !printed.some((one) => one.line === line))).toEqual([]);
    const wrong = printed.filter(({ line, values }) => !agrees(stated.get(line)!, values));
    expect(
      wrong.map(
        ({ line, values }) =>
          `prints ${values.map((value) => show(value)).join(" ")}, says ${stated.get(line)}`,
      ),
    ).toEqual([]);
  });
});

describe("a README's comment", () => {
  const taken = (line: string): ReturnType<typeof takeApart> => takeApart(`const a = 1;\n${line}\n`);

  test("is told from code, and must stand behind what it states", () => {
    expect(taken("console.log(f(1), b); // 3 [1, 2]")).toMatchObject({
      code: "const a = 1;\nglobalThis.printed(1, f(1), b);\n",
      stated: new Map([[1, "3 [1, 2]"]]),
      unchecked: [],
    });
    expect(taken("f(1); // [1, 2]").unchecked).toEqual(["f(1); // [1, 2]"]);
    expect(taken("const b = f(1); // 0.5").unchecked).toHaveLength(1);
    expect(taken("const b = f(1); // RGB bytes").unchecked).toEqual([]);
  });

  test("is true to the digits it has, up to a colon, and in nothing else", () => {
    expect(agrees("[0.667]: of three", [Float64Array.of(2 / 3)])).toBe(true);
    expect(agrees("[0.666]", [[2 / 3]])).toBe(false);
    expect(agrees("1440", [1440])).toBe(true);
    expect(agrees("1440", [1441])).toBe(false);
    expect(agrees("1440 pixels", [1440])).toBe(false);
    expect(agrees('{ id: 18, name: "dog", ... }', [{ id: 18, name: "dog", AP: 0.5 }])).toBe(true);
    expect(agrees('{ id: 18, name: "cat", ... }', [{ id: 18, name: "dog", AP: 0.5 }])).toBe(false);
    expect(agrees('["p2"] [1, 8]', [["p2"], [1, 8]])).toBe(true);
    expect(agrees('["p2"] [1, 8]', [["p2"], [1, 8, 8]])).toBe(false);
    expect(agrees("true", [false])).toBe(false);
    expect(agrees("bo0b1b1...: of COCO", ["bo0b1b10000Vk5"])).toBe(true);
    expect(agrees("bo0b1b2...: of COCO", ["bo0b1b10000Vk5"])).toBe(false);
    expect(agrees("run.json: raet is wrong.", ["run.json: raet is wrong."])).toBe(true);
  });
});
