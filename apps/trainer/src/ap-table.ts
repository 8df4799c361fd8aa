import type { IouScores, Scores } from "./scores.ts";


// The lines that pycocotools prints, so that they can be compared at a glance.
function lines({ stats }: IouScores, maxDetections: number): string[] {
  const line = (key: keyof IouScores["stats"], what: "Precision" | "Recall", iou: string, area: string, limit: number): string => {
    const title = ` ${`Average ${what}`.padEnd(18)} ${what === "Precision" ? "(AP)" : "(AR)"}`;
    return `${title} @[ IoU=${iou.padEnd(9)} | area=${area.padStart(6)} | maxDets=${String(limit).padStart(3)} ] = ${stats[key]!.toFixed(3)}`;
  };
  const all = "0.50:0.95";
  return [
    line("AP", "Precision", all, "all", maxDetections),
    line("AP50", "Precision", "0.50", "all", maxDetections),
    line("AP75", "Precision", "0.75", "all", maxDetections),
    line("APs", "Precision", all, "small", maxDetections),
    line("APm", "Precision", all, "medium", maxDetections),
    line("APl", "Precision", all, "large", maxDetections),
    line("AR1", "Recall", all, "all", 1),
    line("AR10", "Recall", all, "all", 10),
    line("AR100", "Recall", all, "all", maxDetections),
    line("ARs", "Recall", all, "small", maxDetections),
    line("ARm", "Recall", all, "medium", maxDetections),
    line("ARl", "Recall", all, "large", maxDetections),
  ];
}

/** The scores as text: pycocotools' twelve lines for each IoU type. */
export function apTable(scores: Scores, { maxDetections = 100 }: { readonly maxDetections?: number | undefined } = {}): string {
  return Object.entries(scores as Record<string, IouScores>)
    .map(([type, one]) => [`${type}:`, ...lines(one, maxDetections)].join("\n"))
    .join("\n\n");
}
