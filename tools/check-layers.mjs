// @ts-check
/**
 * Checks the packages against layers.json: imports, declared dependencies and the graph agree, there is no
 * package cycle, no tensors where none are allowed, and every package has its parts.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { filesBelow, folders, readJson, readLayers, root } from "./workspace.mjs";

const layers = readLayers();
/** @type {string[]} */
const problems = [];
/** @type {Map<string, Set<string>>} */
const graph = new Map();

// Import, export-from and dynamic import of a module; a module's name is all we need of a file.
const IMPORT =
  /(?:^|[\s;}])(?:import|export)\s[^"';]*?from\s*["']([^"']+)["']|import\s*\(\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']/gm;

/** @param {string} file */
const importsOf = (file) =>
  [...readFileSync(file, "utf8").matchAll(IMPORT)].map((m) => m[1] ?? m[2] ?? m[3] ?? "");

/** @param {string} specifier */
const packageOf = (specifier) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

/**
 * @param {"packages" | "apps"} kind
 * @param {string} name
 * @param {string[] | "*"} uses
 * @param {boolean} tensors
 */
function checkRoom(kind, name, uses, tensors) {
  const folder = join(root, kind, name);
  const manifest = readJson(`${kind}/${name}/package.json`);
  const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }));
  const allowed = (/** @type {string} */ other) => uses === "*" || uses.includes(other);
  const edges = new Set();
  graph.set(`${kind}/${name}`, edges);

  for (const dependency of declared) {
    if (!dependency.startsWith("@mrcnn/")) continue;
    const other = dependency.slice("@mrcnn/".length);
    if (!allowed(other))
      problems.push(
        `${kind}/${name}/package.json depends on ${dependency}, which layers.json does not allow.`,
      );
    if (manifest.dependencies?.[dependency] !== "workspace:^")
      problems.push(`${kind}/${name}/package.json: ${dependency} must be "workspace:^".`);
    edges.add(`packages/${other}`);
  }
  for (const other of uses === "*" ? [] : uses) {
    if (!edges.has(`packages/${other}`))
      problems.push(`layers.json: ${name} does not use ${other}; take it off its list.`);
  }
  const used = new Set();
  for (const file of filesBelow(join(folder, "src"), ".ts")) {
    for (const specifier of importsOf(file)) {
      const where = relative(root, file);
      if (specifier.startsWith(".")) {
        if (!specifier.endsWith(".ts") && !specifier.endsWith(".json"))
          problems.push(`${where}: own files are imported with their ending, got ${specifier}.`);
        if (relative(folder, join(file, "..", specifier)).startsWith(".."))
          problems.push(`${where} imports ${specifier} from outside its package.`);
        continue;
      }
      if (specifier.startsWith("node:")) continue;
      const target = packageOf(specifier);
      used.add(target);
      if (!tensors && target.startsWith("@tensorflow/"))
        problems.push(`${where} imports ${target}, but ${name} works without tensors.`);
      if (target !== manifest.name && !declared.has(target))
        problems.push(`${where} imports ${target}, which ${kind}/${name}/package.json does not declare.`);
    }
  }
  for (const dependency of Object.keys(manifest.dependencies ?? {})) {
    if (dependency.startsWith("@mrcnn/") && !used.has(dependency))
      problems.push(`${kind}/${name}/package.json declares ${dependency}, but nothing imports it.`);
  }
  const references = new Set(
    (readJson(`${kind}/${name}/tsconfig.json`).references ?? []).map((/** @type {{ path: string }} */ r) =>
      r.path.split("/").at(-1),
    ),
  );
  for (const edge of edges) {
    const other = edge.slice("packages/".length);
    if (!references.has(other)) problems.push(`${kind}/${name}/tsconfig.json does not reference ${edge}.`);
  }
  if (!existsSync(join(folder, "README.md"))) problems.push(`${kind}/${name} has no README.md.`);
  if (filesBelow(join(folder, "test"), ".test.ts").length === 0)
    problems.push(`${kind}/${name} has no tests.`);
  if (manifest.type !== "module") problems.push(`${kind}/${name}/package.json: type must be "module".`);
  if (manifest.private !== true && manifest.publishConfig?.access !== "public")
    problems.push(`${kind}/${name}/package.json: publishConfig.access must be "public".`);
  for (const file of filesBelow(join(folder, "src"), ".ts")) {
    if (/^export default/m.test(readFileSync(file, "utf8")))
      problems.push(`${relative(root, file)} has a default export.`);
  }
}

for (const name of folders("packages")) {
  const rule = layers.packages[name];
  if (rule === undefined) problems.push(`packages/${name} is not in layers.json.`);
  else checkRoom("packages", name, rule.uses, rule.tensors !== false);
}
for (const name of folders("apps")) {
  const rule = layers.apps[name];
  if (rule === undefined) problems.push(`apps/${name} is not in layers.json.`);
  else checkRoom("apps", name, rule.uses, true);
}
for (const [name, rule] of Object.entries(layers.packages)) {
  if (!existsSync(join(root, "packages", name)))
    problems.push(`layers.json names packages/${name}, which does not exist.`);
  if (rule.uses === "*" || typeof rule.layer !== "number") continue;
  for (const other of rule.uses) {
    const above = layers.packages[other];
    if (above === undefined) problems.push(`layers.json: ${name} uses ${other}, which is not listed.`);
    else if (typeof above.layer === "number" && above.layer > rule.layer)
      problems.push(
        `layers.json: ${name} (L${rule.layer}) uses ${other} (L${above.layer}): arrows only go down.`,
      );
  }
}

/** @param {string} node @param {string[]} path @param {Set<string>} done */
function findCycle(node, path, done) {
  if (path.includes(node)) {
    problems.push(`cycle: ${[...path.slice(path.indexOf(node)), node].join(" -> ")}.`);
    return;
  }
  if (done.has(node)) return;
  done.add(node);
  for (const next of graph.get(node) ?? []) findCycle(next, [...path, node], done);
}
const done = new Set();
for (const node of graph.keys()) findCycle(node, [], done);

/**
 * The file that an import of a source file leads to: an own one, or an entry of another package.
 *
 * @param {string} file
 * @param {string} specifier
 */
function sourceOf(file, specifier) {
  if (specifier.startsWith(".")) return join(file, "..", specifier);
  const target = packageOf(specifier);
  if (!target.startsWith("@mrcnn/")) return undefined;
  const folder = join("packages", target.slice("@mrcnn/".length));
  const entry = readJson(`${folder}/package.json`).exports[`.${specifier.slice(target.length)}`];
  const source = entry?.["@mrcnn/source"] ?? entry?.node?.["@mrcnn/source"];
  return source === undefined ? undefined : join(root, folder, source);
}

// What works without tensors never loads them, or their types, through anything that it imports.
for (const [name, rule] of Object.entries(layers.packages)) {
  if (rule.tensors !== false) continue;
  /** @type {Map<string, string>} */
  const from = new Map(filesBelow(join(root, "packages", name, "src"), ".ts").map((file) => [file, ""]));
  for (const [file] of from) {
    for (const specifier of importsOf(file)) {
      if (specifier.startsWith("@tensorflow/")) {
        const path = [relative(root, file)];
        for (let at = from.get(file); at; at = from.get(at)) path.unshift(relative(root, at));
        problems.push(`${name} works without tensors, but loads ${specifier}: ${path.join(" -> ")}.`);
      }
      const next = sourceOf(file, specifier);
      if (next !== undefined && !from.has(next)) from.set(next, file);
    }
  }
}

// Files of a package import each other in one direction.
for (const kind of ["packages", "apps"]) {
  for (const name of folders(/** @type {"packages" | "apps"} */ (kind))) {
    /** @type {Map<string, string[]>} */
    const files = new Map();
    for (const file of filesBelow(join(root, kind, name, "src"), ".ts")) {
      const own = importsOf(file).filter((specifier) => specifier.startsWith("."));
      files.set(
        file,
        own.map((specifier) => join(file, "..", specifier)),
      );
    }
    /** @type {Set<string>} */
    const seen = new Set();
    /** @param {string} file @param {string[]} path */
    const follow = (file, path) => {
      if (path.includes(file)) {
        const circle = [...path.slice(path.indexOf(file)), file].map((one) => relative(root, one));
        problems.push(`circle of files: ${circle.join(" -> ")}.`);
        return;
      }
      if (seen.has(file)) return;
      seen.add(file);
      for (const next of files.get(file) ?? []) follow(next, [...path, file]);
    };
    for (const file of files.keys()) follow(file, []);
  }
}

if (problems.length > 0) {
  for (const problem of problems) console.error(`error: ${problem}`);
  process.exit(1);
}
console.log(
  `layers: ${graph.size} packages, ${[...graph.values()].reduce((n, e) => n + e.size, 0)} arrows, all allowed`,
);
