// Which pictures files and folders come to, what each is called, what is passed over, and what overlays are called.
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CommandError, UsageError } from "../src/errors.ts";
import { findInputs, overlayNames } from "../src/inputs.ts";
import type { FindOptions, Input } from "../src/inputs.ts";
import { temporaryFolder } from "./command.ts";

// Which writes paths otherwise, and has no pipes with names.
const isWindows = process.platform === "win32";
const folder = temporaryFolder();
/** A folder with empty files of these names. */
function made(name: string, ...files: string[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const file of files) {
    mkdirSync(join(path, file, ".."), { recursive: true });
    writeFileSync(join(path, file), "");
  }
  return path;
}
function find(
  paths: readonly string[],
  options: Partial<FindOptions> = {},
): { found: Input[]; notes: string[] } {
  const notes: string[] = [];
  const found = findInputs(paths, { recursive: false, note: (line) => notes.push(line), ...options });
  return { found, notes };
}
const within = ({ found }: { found: readonly Input[] }): string[] => found.map((one) => one.within);

describe.skipIf(isWindows)("findInputs", () => {
  it("takes files as they are given, whatever their names", () => {
    const set = made("files", "b.png", "a.txt");
    const [b, a] = [join(set, "b.png"), join(set, "a.txt")];
    expect(find([b, a])).toEqual({
      found: [
        { path: b, name: b, within: "b.png" },
        { path: a, name: a, within: "a.txt" },
      ],
      notes: [],
    });
  });

  it("takes a folder's pictures by name, those of kinds that can't be read among them, and tells of the rest", () => {
    const set = made("mixed", "b.png", "a.JPG", "c.heic", "notes.txt", "sub/d.png");
    expect(find([set])).toEqual({
      found: ["a.JPG", "b.png", "c.heic"].map((name) => ({ path: join(set, name), name, within: name })),
      notes: [
        `${set}: 1 file that is no image is passed over: notes.txt`,
        `${set}: 1 folder in it is not looked into: sub. --recursive does that.`,
      ],
    });
    expect(find([made("plain", "a.png")]).notes).toEqual([]);
  });

  it("names three of what is passed over", () => {
    const three = made("three", "a.png", "1.txt", "2.txt", "3.txt", "s1/x", "s2/x");
    expect(find([three]).notes).toEqual([
      `${three}: 3 files that are no images are passed over: 1.txt, 2.txt, 3.txt`,
      `${three}: 2 folders in it are not looked into: s1, s2. --recursive does that.`,
    ]);
    const four = made("four", "a.png", "1.txt", "2.txt", "3.txt", "4\n.txt", "s1/x", "s2/x", "s3/x", "s4/x");
    expect(find([four]).notes).toEqual([
      `${four}: 4 files that are no images are passed over: 1.txt, 2.txt, 3.txt, …`,
      `${four}: 4 folders in it are not looked into: s1, s2, s3, …. --recursive does that.`,
    ]);
    const odd = made("odd", "a.png", "4\n.txt");
    expect(find([odd]).notes).toEqual([`${odd}: 1 file that is no image is passed over: 4\\u000a.txt`]);
  });

  it("looks into folders within folders when told to, not into hidden ones", () => {
    const set = made("deep", "b.png", "a/z/y.png", "a/x.png", "a/n.txt", ".git/c.png", "x.png/in.png");
    const outcome = find([set], { recursive: true });
    expect(within(outcome)).toEqual(["a/x.png", "a/z/y.png", "b.png", "x.png/in.png"]);
    expect(outcome.notes).toEqual([`${set}: 2 files that are no images are passed over: .git, a/n.txt`]);
  });

  it("calls pictures by folder and path where there are several folders, by their path where there is one", () => {
    const [one, two] = [made("one", "a.png"), made("two", "a.png")];
    const file = join(two, "a.png");
    expect(find([one, two]).found.map(({ name }) => name)).toEqual([join(one, "a.png"), file]);
    expect(find([one, file]).found.map(({ name }) => name)).toEqual(["a.png", file]);
  });

  it("goes once into each folder, though symlinks lead in circles", () => {
    const set = made("circle", "a.png", "sub/b.png");
    symlinkSync("..", join(set, "sub", "up"));
    symlinkSync("sub", join(set, "zweit"));
    expect(within(find([set], { recursive: true }))).toEqual(["a.png", "sub/b.png"]);
  });

  it("goes not into the folder of overlays, and says so", () => {
    const set = made("own", "a.png", "overlays/a.png");
    const outcome = find([set], { recursive: true, except: join(set, "overlays") });
    expect(within(outcome)).toEqual(["a.png"]);
    expect(outcome.notes).toEqual([`${join(set, "overlays")} is not looked into: overlays go there.`]);
    // The folder that was asked for is another matter: what would be overwritten there is refused by name.
    expect(within(find([set], { except: set }))).toEqual(["a.png"]);
    expect(within(find([set], { recursive: true, except: join(set, "none") }))).toEqual([
      "a.png",
      "overlays/a.png",
    ]);
  });

  it("says of what can't be a picture why, and goes on", () => {
    const set = made("bad", "good.png", "folder.png/x");
    symlinkSync("nowhere.png", join(set, "gone.png"));
    execFileSync("mkfifo", [join(set, "pipe.png")]);
    const { found } = find([set, join(folder, "typo.png"), join(set, "pipe.png"), join(set, "gone.png")]);
    expect(found.map(({ within: name, problem }) => [name, problem])).toEqual([
      ["folder.png", "that is a folder with the name of an image"],
      ["gone.png", "it is a symlink that leads to no file"],
      ["good.png", undefined],
      ["pipe.png", "it is no regular file but a pipe, a socket or a device"],
      ["typo.png", "no such image or folder. Check the path"],
      ["pipe.png", "it is no regular file but a pipe, a socket or a device"],
      ["gone.png", "it is a symlink that leads to no file"],
    ]);
    expect(find([join(folder, "b\uFFFD.png")]).found[0]!.problem).toBe(
      "its name is not UTF-8, so it can't be opened. Rename it",
    );
    // A name that no disk takes.
    expect(find(["x".repeat(5000)]).found[0]!.problem).toBe("no such image or folder. Check the path");
  });

  it("refuses a folder without pictures, and --recursive without a folder", () => {
    const none = made("none", "a.txt");
    expect(() => find([none])).toThrow(
      new CommandError(
        `${none}: the folder holds no images (png, jpg, jpeg, jpe, jfif, webp, avif, gif, tif, tiff).`,
      ),
    );
    expect(() => find([join(folder, "a.png")], { recursive: true })).toThrow(
      new UsageError("--recursive: no folder is given to look into. Leave it out."),
    );
    expect(() => find([])).not.toThrow();
  });
});

describe.skipIf(isWindows)("overlayNames", () => {
  const names = (...files: string[]): string[] =>
    overlayNames(files.map((file) => ({ path: file, name: file, within: file })));
  it("are the pictures' with .png, after the extension where two would be alike, then numbered", () => {
    expect(names("a.jpg", "b.png", "c")).toEqual(["a.png", "b.png", "c.png"]);
    expect(names("a.jpg", "a.jpeg", "a.jpg", "a.jpg")).toEqual([
      "a.png",
      "a.jpeg.png",
      "a.jpg.png",
      "a-2.png",
    ]);
    expect(names("a.jpg", "a.jpg", "a.jpg", "a.jpg")).toEqual(["a.png", "a.jpg.png", "a-2.png", "a-3.png"]);
    expect(names("a-2.jpg", "a.jpg", "a.jpg", "a.jpg")).toEqual(["a-2.png", "a.png", "a.jpg.png", "a-3.png"]);
  });
  it("know no case, and keep sub-folders", () => {
    expect(names("a.jpg", "A.jpg", "A.JPG")).toEqual(["a.png", "A.jpg.png", "A-2.png"]);
    expect(names("s/a.jpg", "a.jpg", "s/a.png", "S/a.gif")).toEqual([
      "s/a.png",
      "a.png",
      "s/a.png.png",
      "S/a.gif.png",
    ]);
  });
});
