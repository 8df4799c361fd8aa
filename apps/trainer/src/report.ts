import type { MaskRcnn } from "@mrcnn/model";
import type { TrainingConfig } from "./config.ts";
import type { Category, OpenSource } from "./data-source.ts";
import { writeWhole } from "./files.ts";
import type { RunDirectory } from "./run-directory.ts";

export interface ReportInput {
  readonly model: MaskRcnn;
  readonly config: TrainingConfig;
  /** Where the example images come from. */
  readonly source: OpenSource;
  readonly isValidation: boolean;
  readonly categories: readonly Category[];
}

/** Writes the run's report.html. */
export async function writeRunReport(run: RunDirectory, _input: ReportInput): Promise<void> {
  writeWhole(run.report, "<!doctype html><title>report</title>\n");
}
