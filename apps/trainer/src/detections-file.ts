// The results of `mrcnn detect`, written as they come, so that whatever ends the work leaves what was done.
import { toJson } from "@mrcnn/core";
import { closeSync, ftruncateSync, openSync, rmSync, writeFileSync } from "node:fs";
import { replaceFile } from "@mrcnn/datasets/node";
import type { OutputTarget } from "@mrcnn/datasets/node";
import type { Output } from "./outputs.ts";

/** A JSON list that grows. */
export interface DetectionsFile {
  /** Adds to it. @throws the system's error; what was there before stays as it was. */
  add(items: readonly object[]): Promise<void>;
  /** All is there: a regular file takes its name now. */
  finish(): Promise<void>;
  /**
   * No more will come. What was written to a regular file stays under another name, a complete list.
   *
   * @returns that name; undefined when there is none.
   */
  abandon(): string | undefined;
}

// One item a line, the comma first: whatever was written, a "]" after it makes it JSON.
function lines(items: readonly object[], isFirst: boolean): string {
  const text = items.map((item) => toJson(item)).join("\n,");
  return items.length === 0 ? "" : `${isFirst ? " " : ","}${text}\n`;
}

/** Opens a list of detections at `output`. A regular file grows under its name with ".partial" after it. */
export async function openDetectionsFile(output: Output): Promise<DetectionsFile> {
  return output.target === undefined ? toStream(output) : toFile(output.target);
}

async function toStream(output: Output): Promise<DetectionsFile> {
  const stream = await output.open();
  let isFirst = true;
  await stream.write("[\n");
  return {
    async add(items) {
      if (items.length === 0) return;
      await stream.write(lines(items, isFirst));
      isFirst = false;
    },
    async finish() {
      await stream.write("]\n");
      stream.close();
    },
    abandon() {
      stream.close();
      return undefined;
    },
  };
}

// What an earlier run left is not touched, nor what another one writes at this moment.
function create(path: string): { path: string; file: number } {
  for (let n = 1; ; n++) {
    const free = n === 1 ? `${path}.partial` : `${path}.partial-${n}`;
    try {
      return { path: free, file: openSync(free, "wx") };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

function toFile(target: OutputTarget): DetectionsFile {
  const { path, file } = create(target.file);
  let size = 0;
  let isFirst = true;
  const append = (text: string): void => {
    try {
      writeFileSync(file, text); // on a descriptor: after what is there
      size += Buffer.byteLength(text);
    } catch (error) {
      ftruncateSync(file, size);
      throw Object.assign(error as Error, { path });
    }
  };
  append("[\n");
  return {
    async add(items) {
      if (items.length === 0) return;
      append(lines(items, isFirst));
      isFirst = false;
    },
    async finish() {
      append("]\n");
      closeSync(file);
      replaceFile(target, path);
    },
    abandon() {
      try {
        append("]\n");
      } catch {
        // A full disk: the list lacks its end.
      }
      closeSync(file);
      if (!isFirst) return path;
      rmSync(path, { force: true });
      return undefined;
    },
  };
}
