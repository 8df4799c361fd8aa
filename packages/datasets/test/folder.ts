import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";

/** A folder of its own for one test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "mrcnn-datasets-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder for all tests of a file. */
export function temporaryFolderOfFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "mrcnn-datasets-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
