import type { Dataset } from "@mrcnn/core";
import type { Inspection } from "./inspection.ts";
import type { MemoryEstimate } from "./memory-estimate.ts";

/** The findings as a page. */
export async function inspectionPage(found: Inspection, _options: { title: string; dataset: Dataset | undefined; samples: number; memory: MemoryEstimate | undefined }): Promise<string> {
  return `<!doctype html><title>${found.images}</title>`;
}
