import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { isForeignPictureName, isPictureName } from "../src/index.ts";
import {
  createFindNearby,
  maskFoldersDataset,
  readImageFile,
  whyNoFile,
  writeImageFile,
} from "../src/node.ts";
import { temporaryFolder, temporaryFolderOfFile } from "./folder.ts";

const pixel = { height: 1, width: 1, data: Uint8Array.of(1, 2, 3) };

/** A path of each kind that is no regular file. */
async function irregular(): Promise<Record<string, string>> {
  const folder = temporaryFolder();
  const fifo = join(folder, "fifo.png");
  execFileSync("mkfifo", [fifo]);
  const link = join(folder, "link.png");
  symlinkSync(fifo, link);
  const socket = join(folder, "socket.png");
  const server = createServer().listen(socket);
  await new Promise((done) => server.on("listening", done));
  onTestFinished(() => void server.close());
  const circle = join(folder, "circle.png");
  symlinkSync(circle, circle);
  return { fifo, link, socket, device: "/dev/zero", folder, circle };
}

describe("whyNoFile", () => {
  it("says what a path is that is no file", async () => {
    const { fifo, link, socket, device, folder, circle } = await irregular();
    for (const path of [fifo!, link!])
      expect(whyNoFile(path)).toMatch(/^it is a pipe, not a regular file: .* Write what it gives to a file/);
    expect(whyNoFile(socket!)).toMatch(/^it is a socket/);
    expect(whyNoFile(device!)).toMatch(/^it is a device/);
    expect(whyNoFile(folder!)).toBe("it is a folder. Name a file.");
    expect(whyNoFile(circle!)).toMatch(/^its symbolic links lead in a circle/);
    expect(whyNoFile(join(folder!, "none"))).toBe("it does not exist. Check the path.");
  });
  it("takes a file, and a link to one", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "a"), "");
    symlinkSync(join(folder, "a"), join(folder, "b"));
    expect([whyNoFile(join(folder, "a")), whyNoFile(join(folder, "b"))]).toEqual([undefined, undefined]);
  });
  it("keeps images and masks from waiting for a pipe or a device", async () => {
    const { fifo, device, socket } = await irregular();
    for (const path of [fifo!, device!, socket!])
      await expect(readImageFile(path)).rejects.toThrow(`${path}: the image can't be read: it is a`);
    const folder = temporaryFolder();
    await writeImageFile(join(folder, "images", "a.png"), pixel);
    mkdirSync(join(folder, "masks"));
    execFileSync("mkfifo", [join(folder, "masks", "a.png")]);
    await expect(
      maskFoldersDataset({ images: join(folder, "images"), masks: join(folder, "masks") }),
    ).rejects.toThrow("a.png: the mask can't be read: it is a pipe");
  });
});

describe("picture names", () => {
  it.each([
    "a.jpg",
    "a.JPEG",
    "b.c.jpe",
    "a.Jfif",
    "x/y.png",
    "x\\y.tif",
    "a.tiff",
    "a.WebP",
    "a.avif",
    "a.gif",
  ])("%s is a picture", (name) => {
    expect([isPictureName(name), isForeignPictureName(name)]).toEqual([true, false]);
  });
  it.each(["a.bmp", "a.HEIC", "a.jp2", "a.svg", "scan.NDPI"])(
    "%s is a picture that can't be read",
    (name) => {
      expect([isPictureName(name), isForeignPictureName(name)]).toEqual([false, true]);
    },
  );
  it.each(["._a.jpg", ".png", "x/.a.png", "a.txt", "jpg", "a.png.txt", "a.jpgx", ""])(
    "%j is none",
    (name) => {
      expect([isPictureName(name), isForeignPictureName(name)]).toEqual([false, false]);
    },
  );
});

describe("createFindNearby", () => {
  const folder = temporaryFolderOnce([
    "a.png",
    "sub dir/ü.png",
    "Photo.JPG",
    "many/x.png",
    "many/x.jpg",
    "deep/er/q.png",
  ]);
  it.each<[string, string, string]>([
    ["images\\a.png", "a.png", "in its backslashes and in its folders"],
    ["C:\\Users\\me\\a.png", "a.png", "in its backslashes and in its folders"],
    ["/data/upload/4/a.png", "a.png", "in its folders"],
    ["deep\\er\\q.png", "deep/er/q.png", "in its backslashes"],
    ["/other/deep/er/q.png", "deep/er/q.png", "in its folders"],
    ["sub dir/u\u0308.png", "sub dir/ü.png", "in the Unicode form of its letters (they look the same)"],
    ["sub%20dir/%C3%BC.png", "sub dir/ü.png", "in its percent signs"],
    ["photo.jpg", "Photo.JPG", "in letter case"],
    ["Sub Dir/Ü.PNG", "sub dir/ü.png", "in letter case"],
    ["a.jpg", "a.png", "in its ending"],
  ])("%s: %s differs %s", (name, path, differs) => {
    expect(createFindNearby({ elsewhere: true })(folder, name)).toEqual({
      path: join(folder, path),
      differs,
    });
  });
  it.each(["b.png", "many/x.tif", "deep/er", "", "..", "\0"])("%j: nothing", (name) => {
    expect(createFindNearby({ elsewhere: true })(folder, name)).toBeUndefined();
  });
  it("looks in no other folder unless told", () => {
    expect(createFindNearby()(folder, "/data/a.png")).toBeUndefined();
    expect(createFindNearby()(folder, "A.PNG")?.path).toBe(join(folder, "a.png"));
    expect(whyNoFile(join(folder, "PHOTO.jpg"))).toBe(
      `it does not exist. But ${join(folder, "Photo.JPG")} is there, which differs in letter case. Check the path.`,
    );
  });
});

function temporaryFolderOnce(files: readonly string[]): string {
  const folder = temporaryFolderOfFile();
  for (const file of files) {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), "");
  }
  return folder;
}
