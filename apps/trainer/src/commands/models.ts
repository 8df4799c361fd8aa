/** `mrcnn models`: lists the catalog. */
import { catalog, isCached } from "@mrcnn/mask-rcnn";
import type { CatalogEntry } from "@mrcnn/mask-rcnn";
import { openOutputs } from "../outputs.ts";
import type { Terminal } from "../terminal.ts";

export interface ModelsOptions {
  readonly cache?: string;
  readonly json?: string;
}

/** `mrcnn models`. @returns the exit code. */
export async function listModels({ cache, json }: ModelsOptions, given: Terminal): Promise<number> {
  const outputs = openOutputs({ "--json": json }, { terminal: given });
  const { terminal } = outputs;
  const cached = await Promise.all(catalog.map(({ url }) => isCached(url, { cacheDir: cache })));
  const found = catalog.map(
    ({ name, source, url, licence, bytes, parameters, metrics, checksum, categories, keypoints }, i) => ({
      name,
      source,
      metrics,
      bytes,
      parameters,
      licence,
      cached: cached[i]!,
      url,
      checksum,
      classes: categories,
      keypoints: keypoints?.names,
    }),
  );
  const rows = [
    ["model", "source", "box AP", "mask AP", "kp AP", "size", "cached", "licence of the weights"],
    ...catalog.map((entry, i) => row(entry, cached[i]!)),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  for (const cells of rows)
    terminal.out(
      cells
        .map((cell, column) =>
          /AP|size/.test(rows[0]![column]!) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
        )
        .join("  ")
        .trimEnd(),
    );
  await outputs.write({ "--json": () => `${JSON.stringify(found, null, 2)}\n` });
  return 0;
}

const figure = (ap: number | undefined): string => ap?.toFixed(1) ?? "-";

function row({ name, source, metrics, bytes, licence }: CatalogEntry, isHere: boolean): string[] {
  const size = bytes === undefined ? "-" : `${Math.round(bytes / 1e6)} MB`;
  return [
    name,
    source,
    figure(metrics?.boxAP),
    figure(metrics?.maskAP),
    figure(metrics?.keypointAP),
    size,
    isHere ? "yes" : "no",
    licence,
  ];
}
