// @ts-check
/** Packs the bench into one folder that needs nothing but Node 20: `node FOLDER/webgpu.mjs`. */
import { cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../../workspace.mjs";

/** @param {string} folder */
export async function pack(folder) {
  const vite = await import(
    pathToFileURL(createRequire(join(root, "apps", "web", "package.json")).resolve("vite")).href
  );
  await vite.build({
    configFile: false,
    root,
    logLevel: "warn",
    ssr: {
      noExternal: true,
      external: ["webgpu"],
      resolve: { conditions: ["node", "import", "module", "default"] },
    },
    build: {
      ssr: join(root, "tools", "bench", "webgpu.mjs"),
      outDir: folder,
      emptyOutDir: false,
      target: "node20",
      rolldownOptions: { external: ["webgpu", "vite"], output: { entryFileNames: "webgpu.mjs" } },
    },
  });
  const dawn = dirname(
    createRequire(join(root, "packages", "backend-webgpu", "package.json")).resolve("webgpu"),
  );
  const platform = `${process.platform}-${process.platform === "darwin" ? "universal" : process.arch}`;
  const to = join(folder, "node_modules", "webgpu");
  mkdirSync(join(to, "dist"), { recursive: true });
  for (const name of ["package.json", "index.js", "LICENSE.md", "build", join("dist", platform)]) {
    if (existsSync(join(dawn, name)))
      cpSync(join(dawn, name), join(to, name), { recursive: true, dereference: true });
  }
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  const bytes = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size, 0);
  console.log(
    `${folder}: ${(bytes / 2 ** 20).toFixed(0)} MB for ${platform}. There: node webgpu.mjs (with Node 20 or newer and the GPU's driver).`,
  );
}
