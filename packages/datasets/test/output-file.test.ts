import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  openOutputStream,
  outputTarget,
  tryOutput,
  writeFilesWhole,
  writeImageFile,
  writeOutput,
} from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

const onLinux = it.runIf(process.platform === "linux");
const fifo = (path: string): string => {
  execFileSync("mkfifo", [path]);
  return path;
};
const failing = (): never => {
  throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
};

describe("a regular file", () => {
  it("is replaced behind its symlinks, relative ones and chains too, and they stay", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "real"));
    writeFileSync(join(folder, "real", "a.json"), "old");
    symlinkSync(join("real", "a.json"), join(folder, "one"));
    symlinkSync("one", join(folder, "two"));
    await writeOutput(join(folder, "two"), "new");
    expect(readFileSync(join(folder, "real", "a.json"), "utf8")).toBe("new");
    expect([readlinkSync(join(folder, "one")), readlinkSync(join(folder, "two"))]).toEqual([
      join("real", "a.json"),
      "one",
    ]);
    expect(readdirSync(join(folder, "real"))).toEqual(["a.json"]);
  });

  it("is made where a symlink points to nothing yet", async () => {
    const folder = temporaryFolder();
    symlinkSync(join("later", "a.json"), join(folder, "link"));
    await writeOutput(join(folder, "link"), "new");
    expect(lstatSync(join(folder, "link")).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(folder, "later", "a.json"), "utf8")).toBe("new");
  });

  it("keeps its mode", async () => {
    const path = join(temporaryFolder(), "a.json");
    for (const mode of [0o600, 0o664, 0o755]) {
      writeFileSync(path, "old");
      chmodSync(path, mode);
      await writeOutput(path, "new");
      expect(statSync(path).mode & 0o7777).toBe(mode);
    }
  });

  it("may be written under the longest name a disk takes", async () => {
    const path = join(temporaryFolder(), "n".repeat(255));
    await writeOutput(path, "new");
    expect(readFileSync(path, "utf8")).toBe("new");
  });

  it("is written with others or not at all", () => {
    const folder = temporaryFolder();
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    writeFileSync(a, "old");
    let calls = 0;
    const write = (file: number, data: string | Uint8Array): void =>
      void (++calls === 2 ? failing() : writeSync(file, String(data)));
    expect(() =>
      writeFilesWhole(
        [
          { path: a, data: "new" },
          { path: b, data: "new" },
        ],
        { write },
      ),
    ).toThrow("ENOSPC");
    expect(readFileSync(a, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["a"]);
  });

  it.each([
    ["a folder", (folder: string) => folder, "EISDIR"],
    ["a name that ends in a slash", (folder: string) => join(folder, "new/"), "EISDIR"],
    [
      "symlinks in circles",
      (folder: string) => (symlinkSync("circle", join(folder, "circle")), join(folder, "circle")),
      "ELOOP",
    ],
    [
      "a name below a file",
      (folder: string) => (writeFileSync(join(folder, "file"), ""), join(folder, "file", "a.json")),
      "ENOTDIR",
    ],
  ])("is never %s; the error has the path", (_, make, code) => {
    const path = make(temporaryFolder());
    expect(() => tryOutput(path)).toThrow(expect.objectContaining({ code, path }));
    expect(() => writeFilesWhole([{ path, data: "x" }])).toThrow(expect.objectContaining({ code, path }));
  });

  it("is tried without leaving anything but its folder", () => {
    const folder = temporaryFolder();
    expect(tryOutput(join(folder, "new", "a.json"))).toMatchObject({ isFile: true, state: undefined });
    expect(readdirSync(join(folder, "new"))).toEqual([]);
  });
});

describe("what is no regular file", () => {
  onLinux("a named pipe is written to, once somebody reads, and stays", async () => {
    const path = fifo(join(temporaryFolder(), "pipe"));
    const data = "x".repeat(300_000); // more than a pipe holds
    let waited = 0;
    const writing = openOutputStream(path, { onWait: () => void waited++ }).then(async (stream) => {
      await stream.write(data);
      stream.close();
    });
    await new Promise((resolve) => setTimeout(resolve, 100)); // the thread is free meanwhile
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    let got = 0;
    const buffer = Buffer.alloc(65536);
    for (let isDone = false; !isDone;) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      try {
        const bytes = readSync(reader, buffer);
        got += bytes;
        isDone = bytes === 0 && got > 0;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      }
    }
    closeSync(reader);
    await writing;
    expect({ got, waited, isPipe: statSync(path).isFIFO() }).toEqual({
      got: data.length,
      waited: 1,
      isPipe: true,
    });
  });

  onLinux("is refused where only a file will do, and by writeImageFile written to", async () => {
    const path = fifo(join(temporaryFolder(), "pipe.png"));
    expect(() => writeFilesWhole([{ path, data: "x" }])).toThrow(
      expect.objectContaining({ code: "EEXIST", path }),
    );
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    await writeImageFile(path, { height: 1, width: 1, data: Uint8Array.of(1, 2, 3) });
    const bytes = Buffer.alloc(8);
    readSync(reader, bytes);
    closeSync(reader);
    expect(bytes.toString("latin1", 1, 4)).toBe("PNG");
    expect(statSync(path).isFIFO()).toBe(true);
  });

  onLinux("a device is written to; a full one says so", async () => {
    expect(outputTarget("/dev/null").isFile).toBe(false);
    expect(tryOutput("/dev/full").isFile).toBe(false);
    await expect(writeOutput("/dev/full", "x")).rejects.toMatchObject({ code: "ENOSPC", path: "/dev/full" });
  });

  onLinux("an open file by its number is appended to, whatever its name", async () => {
    const path = join(temporaryFolder(), "log");
    writeFileSync(path, "before\n");
    linkSync(path, `${path}-2`);
    const file = openSync(path, "a");
    await writeOutput(`/dev/fd/${file}`, "after\n");
    closeSync(file);
    expect(readFileSync(`${path}-2`, "utf8")).toBe("before\nafter\n");
  });

  onLinux("a socket is refused at once", async () => {
    const path = join(temporaryFolder(), "socket");
    const server = createServer().listen(path);
    await new Promise((resolve) => server.once("listening", resolve));
    expect(() => tryOutput(path)).toThrow(expect.objectContaining({ code: "ENXIO", path }));
    await expect(openOutputStream(path)).rejects.toMatchObject({ code: "ENXIO", path });
    server.close();
  });
});
