// A folder in which packages are installed as npm would: what they publish, nothing of the workspace.
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";

const packages = join(import.meta.dirname, "..", "..", "..");

interface Manifest {
  readonly files: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** Installs @mrcnn/`name` and all it needs. Others' packages are links. */
export function installPublished(folder: string, name: string): void {
  const from = join(packages, name);
  const to = join(folder, "node_modules", "@mrcnn", name);
  if (existsSync(to)) return;
  const { files, dependencies, peerDependencies } = JSON.parse(
    readFileSync(join(from, "package.json"), "utf8"),
  ) as Manifest;
  for (const file of ["package.json", ...files.filter((one) => !one.startsWith("!"))])
    cpSync(join(from, file), join(to, file), { recursive: true });
  for (const dependency of Object.keys({ ...dependencies, ...peerDependencies })) {
    if (dependency.startsWith("@mrcnn/")) {
      installPublished(folder, dependency.slice("@mrcnn/".length));
      continue;
    }
    const link = join(folder, "node_modules", dependency);
    if (existsSync(link)) continue;
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(realpathSync(join(from, "node_modules", dependency)), link, "junction");
  }
}
