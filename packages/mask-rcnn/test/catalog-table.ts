// The README's table of the catalog; catalog.test.ts holds the README against it.
import { catalog } from "../src/catalog.ts";

const figure = (ap: number | undefined): string => ap?.toFixed(1) ?? "";

/** The catalog as a table in Markdown. */
export function catalogTable(): string {
  const rows = catalog.map(({ name, source, metrics, bytes, licence }) =>
    [
      `\`${name}\``,
      source,
      figure(metrics?.boxAP),
      figure(metrics?.maskAP),
      figure(metrics?.keypointAP),
      bytes === undefined ? "" : `${Math.round(bytes / 1e6)} MB`,
      licence,
    ].join(" | "),
  );
  return [
    "| name | source | box AP | mask AP | keypoint AP | file | licence of the weights |",
    "|---|---|---|---|---|---|---|",
    ...rows.map((row) => `| ${row} |`),
  ]
    .join("\n")
    .replaceAll(/ {2,}/g, " ");
}
