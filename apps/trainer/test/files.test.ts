import { mkdirSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { messageOf } from "../src/errors.ts";
import { appendWhole, readJson, writeWhole } from "../src/files.ts";
import { temporaryFolder } from "./command.ts";

const folder = temporaryFolder();
const full = (): Error =>
  Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });

// Each writes half of the data before the disk is full.
const writeHalf = (file: number, data: string | Uint8Array): void => {
  writeSync(file, String(data).slice(0, 2));
  throw full();
};
const appendHalf = (path: string, data: string | Uint8Array): void => {
  writeFileSync(path, String(data).slice(0, 2), { flag: "a" });
  throw full();
};

describe("files on a full disk", () => {
  it("writeWhole leaves the old file and nothing beside it", () => {
    const path = join(folder, "whole", "a.json");
    writeWhole(path, "old");
    expect(() => writeWhole(path, "new and longer", writeHalf)).toThrow("ENOSPC");
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(join(folder, "whole"))).toEqual(["a.json"]);
  });

  it("appendWhole leaves whole lines", () => {
    const path = join(folder, "lines.jsonl");
    appendWhole(path, '{"step":1}\n');
    expect(() => appendWhole(path, '{"step":2}\n', appendHalf)).toThrow("ENOSPC");
    expect(readFileSync(path, "utf8")).toBe('{"step":1}\n');
    const none = join(folder, "none.jsonl");
    expect(() => appendWhole(none, "x\n", appendHalf)).toThrow("ENOSPC");
    expect(readdirSync(folder)).not.toContain("none.jsonl");
  });

  it("the message names the file and what to do", () => {
    let message = "";
    try {
      writeWhole(join(folder, "b.json"), "x", writeHalf);
    } catch (error) {
      message = messageOf(error);
    }
    expect(message).toBe(
      `${join(folder, "b.json")}: the disk is full. Free some space or choose another folder.`,
    );
  });
});

describe("reading", () => {
  it("readJson names the file", () => {
    const path = join(folder, "cut.json");
    writeFileSync(path, '{"a": [1, 2');
    expect(() => readJson(path, "The config")).toThrow(`The config ${path} is not valid JSON`);
    mkdirSync(join(folder, "dir"));
    expect(() => readJson(join(folder, "dir"), "The config")).toThrow(
      `The config ${join(folder, "dir")} is a folder. Name a file.`,
    );
    expect(() => readJson("/dev/zero", "The config")).toThrow(
      "The config /dev/zero is a device, not a regular file",
    );
    expect(() => readJson(join(folder, "CUT.json"), "The config")).toThrow(
      `does not exist. But ${path} is there, which differs in letter case.`,
    );
    expect(() => readJson(path, "The config")).toThrow("line 1, column 12 (a[2]): the file ends here");
  });
});
