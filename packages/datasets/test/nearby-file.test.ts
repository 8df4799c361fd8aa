// What lies where a file was looked for, and which names are pictures.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { isForeignPictureName, isPictureName } from "../src/index.ts";
import { createFindNearby } from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

function folderOf(...files: string[]): string {
  const folder = temporaryFolder();
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), "");
  }
  return folder;
}

describe("createFindNearby", () => {
  const u = "\u00fc";
  const parted = "u\u0308"; // the same letter in two parts
  it.each<[string, readonly string[], string, string | undefined, string | undefined]>([
    ["in letter case", ["a.jpg"], "A.JPG", "a.jpg", "in letter case"],
    ["in the letter case of a folder", ["Train/a.jpg"], "train/a.jpg", "Train/a.jpg", "in letter case"],
    ["in the ending, of pictures", ["a.png"], "a.jpg", "a.png", "in its ending"],
    ["in the ending and letter case", ["A.png"], "a.jpg", "A.png", "in its ending"],
    ["in the ending, of what is no picture", ["a.txt"], "a.json", undefined, undefined],
    ["in the ending, where there is no such picture", ["a.txt"], "a.png", undefined, undefined],
    ["in the ending, with two to choose from", ["a.png", "a.webp"], "a.jpg", undefined, undefined],
    ["in letter case, with two to choose from", ["a.jpg", "A.jpg"], "A.JPG", undefined, undefined],
    ["in backslashes", ["train/a.jpg"], "train\\a.jpg", "train/a.jpg", "in its backslashes"],
    [
      "in backslashes and letter case",
      ["train/a.jpg"],
      "train\\A.jpg",
      "train/a.jpg",
      "in its backslashes and in letter case",
    ],
    ["in percent signs", ["a b.jpg"], "a%20b.jpg", "a b.jpg", "in its percent signs"],
    ["in percent signs that are none", ["100%.jpg"], "100%.JPG", "100%.jpg", "in letter case"],
    [
      "in the Unicode form",
      [`${parted}.jpg`],
      `${u}.jpg`,
      `${parted}.jpg`,
      "in the Unicode form of its letters (they look the same)",
    ],
    ["in the Unicode form and letter case", [`${parted}.jpg`], `${u}.JPG`, `${parted}.jpg`, "in letter case"],
    ["in nothing", ["a.jpg"], "a.jpg", undefined, undefined],
    ["in a dot and slashes alone", ["a.jpg"], "./a.jpg", undefined, undefined],
    ["in all", ["b.jpg"], "a.jpg", undefined, undefined],
    ["in being a folder", ["a.jpg/b"], "A.jpg", undefined, undefined],
    ["in folders that may not be left out", ["a.jpg"], "train/a.jpg", undefined, undefined],
  ])("a file that differs %s", (_, files, name, found, differs) => {
    const folder = folderOf(...files);
    expect(createFindNearby()(folder, name)).toEqual(
      found === undefined ? undefined : { path: join(folder, found), differs },
    );
  });

  it.each<[readonly string[], string, string | undefined, string | undefined]>([
    [["a.jpg"], "/data/upload/4/a.jpg", "a.jpg", "in its folders"],
    [["4/a.jpg"], "/data/upload/4/a.jpg", "4/a.jpg", "in its folders"],
    [["a.jpg"], "C:\\data\\a.jpg", "a.jpg", "in its backslashes and in its folders"],
    [["a.jpg"], "/a.jpg", "a.jpg", "in its folders"],
    [
      ["a b.jpg"],
      "images/a%20b.JPG",
      "a b.jpg",
      "in its percent signs and in its folders and in letter case",
    ],
    [["b.jpg"], "/data/a.jpg", undefined, undefined],
    [["a.jpg"], "", undefined, undefined],
  ])("elsewhere, among %j, is looked for without its first folders: %s", (files, name, found, differs) => {
    const folder = folderOf(...files);
    expect(createFindNearby({ elsewhere: true })(folder, name)).toEqual(
      found === undefined ? undefined : { path: join(folder, found), differs },
    );
  });

  it("lists each folder once, and finds nothing where there is none", () => {
    const folder = folderOf("a.jpg");
    const find = createFindNearby();
    expect(find(folder, "A.jpg")?.path).toBe(join(folder, "a.jpg"));
    writeFileSync(join(folder, "b.jpg"), "");
    expect(find(folder, "B.jpg")).toBeUndefined();
    expect(createFindNearby()(folder, "B.jpg")?.path).toBe(join(folder, "b.jpg"));
    expect(createFindNearby({ elsewhere: true })(join(folder, "none"), "a.jpg")).toBeUndefined();
    expect(createFindNearby()(folder, `${"a".repeat(5000)}.jpg`)).toBeUndefined();
  });
});

describe("names of pictures", () => {
  it.each([
    "a.png",
    "A.JPG",
    "x/y.b.jpeg",
    "a.jpe",
    "a.jfif",
    "a.webp",
    "a.avif",
    "a.gif",
    "a.tif",
    "x\\a.TIFF",
    "x.png/b.png",
  ])("%s is one that can be read", (name) => {
    expect([isPictureName(name), isForeignPictureName(name)]).toEqual([true, false]);
  });
  it.each(["a.bmp", "a.HEIC", "a.nef", "a.dng", "a.svg", "x/a.jxl", "a.dcm"])(
    "%s is one that can't",
    (name) => {
      expect([isPictureName(name), isForeignPictureName(name)]).toEqual([false, true]);
    },
  );
  it.each([
    "a.txt",
    "a",
    "png",
    ".png",
    "._a.png",
    "x/._a.jpg",
    "x\\.a.png",
    "a.png.txt",
    "a.png/b",
    "a.",
    "",
    ".bmp",
  ])("%j is none", (name) => {
    expect([isPictureName(name), isForeignPictureName(name)]).toEqual([false, false]);
  });
});
