// @ts-check
/**
 * Makes a new package in the common form: node tools/make-package.mjs NAME "One sentence." (after adding NAME
 * to layers.json).
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { readLayers, root } from "./workspace.mjs";

const [name, sentence] = process.argv.slice(2);
if (!name || !sentence) {
  console.error('usage: node tools/make-package.mjs NAME "One sentence that says what it does."');
  process.exit(2);
}
const rule = readLayers().packages[name];
if (!rule) {
  console.error(`error: ${name} is not in layers.json. Add it with its layer and what it may use.`);
  process.exit(1);
}
const folder = join(root, "packages", name);
if (existsSync(join(folder, "package.json"))) {
  console.error(`error: packages/${name} exists already.`);
  process.exit(1);
}
const uses = rule.uses === "*" ? ["core"] : rule.uses;
const tensors = rule.tensors !== false;
const manifest = {
  name: `@mrcnn/${name}`,
  version: "0.1.0",
  description: sentence,
  license: "Apache-2.0",
  type: "module",
  sideEffects: false,
  files: ["dist", "src", "!dist/.tsbuildinfo"],
  exports: {
    ".": { "@mrcnn/source": "./src/index.ts", types: "./dist/index.d.ts", default: "./dist/index.js" },
    "./package.json": "./package.json",
  },
  publishConfig: { access: "public" },
  scripts: { build: "tsc -b" },
  dependencies: Object.fromEntries(uses.map((used) => [`@mrcnn/${used}`, "workspace:^"])),
  ...(tensors ?
    {
      peerDependencies: { "@tensorflow/tfjs-core": "^4.22.0" },
      devDependencies: { "@tensorflow/tfjs-core": "catalog:" },
    }
  : {}),
};
const files = {
  "package.json": `${JSON.stringify(manifest, null, 2)}\n`,
  "tsconfig.json": `${JSON.stringify({ extends: "../../tsconfig.base.json", references: uses.map((used) => ({ path: `../${used}` })) }, null, 2)}\n`,
  "src/index.ts": "export {};\n",
  "README.md": `# @mrcnn/${name}\n\n${sentence}\n\n## Install\n\n\`\`\`sh\nnpm i @mrcnn/${name}${tensors ? " @tensorflow/tfjs-core" : ""}\n\`\`\`\n\n## Example\n\n\`\`\`ts\n\`\`\`\n\n## Exports\n\n| | |\n|---|---|\n\n## Limits\n`,
};
for (const sub of ["src", "test"]) mkdirSync(join(folder, sub), { recursive: true });
for (const [file, text] of Object.entries(files)) {
  const filepath = join(folder, file);
  if (existsSync(filepath)) continue;
  const style = await resolveConfig(filepath);
  writeFileSync(filepath, file.endsWith(".md") ? text : await format(text, { ...style, filepath }));
}
console.log(`packages/${name}: made. Write src/, test/ and README.md; then node tools/check-layers.mjs.`);
