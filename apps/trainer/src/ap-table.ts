/** The table of average precision that eval prints and reports show. */
import { shownName } from "./terminal.ts";
import type { IouScores, Scores } from "./scores.ts";

const RANGE = "0.50:0.95";
const AREAS = { s: "small", m: "medium", l: "large" } as const;

// The lines that pycocotools prints, so that they can be compared at a glance: twelve, or ten of keypoints.
function lines(type: string, { stats }: IouScores, maxDetections: number): string[] {
  const most = type === "keypoints" ? 20 : maxDetections;
  return Object.entries(stats).map(([key, value]) => {
    const kind = key.slice(2);
    const title = key.startsWith("AP") ? "Average Precision  (AP)" : "Average Recall     (AR)";
    const iou = kind === "50" || kind === "75" ? `0.${kind}` : RANGE;
    const area = AREAS[kind as keyof typeof AREAS] ?? "all";
    const limit =
      kind === "1" ? 1
      : kind === "10" ? 10
      : most;
    return ` ${title} @[ IoU=${iou.padEnd(9)} | area=${area.padStart(6)} | maxDets=${String(limit).padStart(3)} ] = ${value.toFixed(3)}`;
  });
}

function categoryTable({ perCategory }: IouScores): string[] {
  if (perCategory.length < 2) return [];
  const columns = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR"] as const;
  const names = perCategory.map(({ name }) => shownName(name));
  const width = Math.max(8, ...names.map(({ length }) => length));
  const figure = (value: number): string => (value < 0 ? "-" : value.toFixed(3)).padStart(6);
  const head = ` ${"category".padEnd(width)}  objects ${columns.map((name) => name.padStart(6)).join(" ")}`;
  return [
    "",
    head,
    ...perCategory.map(
      (one, i) =>
        ` ${names[i]!.padEnd(width)} ${String(one.instances).padStart(8)} ${columns.map((name) => figure(one[name])).join(" ")}`,
    ),
  ];
}

/**
 * The scores as text: pycocotools' lines for each IoU type, and a table of the categories when there are
 * several.
 */
export function apTable(
  scores: Scores,
  { maxDetections = 100 }: { readonly maxDetections?: number | undefined } = {},
): string {
  return Object.entries(scores as Record<string, IouScores>)
    .map(([type, one]) => [`${type}:`, ...lines(type, one, maxDetections), ...categoryTable(one)].join("\n"))
    .join("\n\n");
}
