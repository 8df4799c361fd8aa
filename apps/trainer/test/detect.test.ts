// `mrcnn detect` over many pictures: bad ones are named, the others done, and what was done is kept.
import { execFileSync, spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { badKinds, mixedFolder } from "./bad-pictures.ts";
import { describeProcesses, mrcnn, temporaryFolder } from "./command.ts";

const folder = temporaryFolder();
const photos = join(folder, "photos");
const settings = [
  "--model",
  "nuclei",
  "--backend",
  "wasm",
  "--threads",
  "1",
  "--min-size",
  "32",
  "--max-size",
  "64",
  "--score-threshold",
  "0",
  "--max-detections",
  "1",
];
let names: { good: string[]; bad: string[] };
let one: string;

interface Found {
  file_name: string;
  image_id: number;
}
const readFound = (path: string): Found[] => JSON.parse(readFileSync(path, "utf8")) as Found[];
const namesIn = (found: readonly Found[]): string[] =>
  [...new Set(found.map(({ file_name }) => file_name))].toSorted();
const detect = (path: string | string[], ...more: string[]): ReturnType<typeof mrcnn> =>
  mrcnn("detect", ...[path].flat(), ...settings, ...more);
/** A folder with the picture that can be read under the names given. */
function folderOf(name: string, ...files: string[]): string {
  const made = join(folder, name);
  for (const file of files) {
    mkdirSync(join(made, file, ".."), { recursive: true });
    copyFileSync(one, join(made, file));
  }
  return made;
}

beforeAll(async () => {
  names = await mixedFolder(photos, { good: 20, bad: 2 * Object.keys(badKinds).length });
  one = join(photos, names.good[0]!);
});

describe("a folder with bad pictures of every kind", () => {
  it("gives the others' results and overlays, names each bad one once with its reason, and ends with 3", async () => {
    const [json, overlay] = [join(folder, "all.json"), join(folder, "all")];
    const { code, out, err } = await detect(photos, "--json", json, "--overlay", overlay);
    expect(code).toBe(3);
    expect(out.split("\n").map((line) => line.split(":")[0])).toEqual(names.good);
    expect(readdirSync(overlay)).toHaveLength(names.good.length);
    const errors = err.split("\n").filter((line) => line.startsWith("error: "));
    expect(errors.map((line) => line.slice("error: ".length).split(": ")[0]!).toSorted()).toEqual(
      names.bad.map((name) => join(photos, name)).toSorted(),
    );
    expect(err).toMatch(/200000x200000 pixels.* raise --max-pixels /);
    for (const line of errors)
      expect(line).toMatch(
        /: (it is a symlink|that is a folder|it is no regular file|the image (can't be read|has 200000x200000)).*\.$/,
      );
    expect(err).toContain(
      `${names.bad.length} of ${names.good.length + names.bad.length} images are left out; they are named above. The other ${names.good.length} are done.`,
    );
    const found = readFound(json);
    expect(namesIn(found).every((name) => names.good.includes(name))).toBe(true);
    // Ids are places in the list, bad ones counted.
    const all = [...names.good, ...names.bad].toSorted();
    for (const { file_name, image_id } of found) expect(all[image_id - 1]).toBe(file_name);
    expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("that are all bad, or missing, ends with 3 as well, and without results", async () => {
    const bad = join(folder, "bad");
    mkdirSync(bad);
    for (const kind of ["empty.jpg", "text.png"]) await badKinds[kind]!(join(bad, kind), 1);
    const { code, out, err } = await detect(
      [bad, join(folder, "typo.jpg")],
      "--json",
      join(folder, "bad.json"),
    );
    expect({ code, out }).toEqual({ code: 3, out: "" });
    expect(err).toContain(`error: ${join(folder, "typo.jpg")}: no such image or folder. Check the path.`);
    expect(err.match(/^error: /gm)).toHaveLength(3);
    expect(readFound(join(folder, "bad.json"))).toEqual([]);
    expect((await detect(join(folder, "typo.jpg"))).code).toBe(3);
  });

  it("is not what is wrong when the first picture shows that the model is", async () => {
    expect(await mrcnn("detect", photos, "--model", "no-such-model", "--backend", "wasm")).toMatchObject({
      code: 1,
      out: "",
    });
  });
});

describeProcesses("killed in the middle", () => {
  const command = fileURLToPath(new URL("../bin/mrcnn.mjs", import.meta.url));
  const stopped = (
    signal: NodeJS.Signals,
    json: string,
    overlay: string,
  ): Promise<{ code: number | null; lines: string[]; err: string }> =>
    new Promise((resolve, reject) => {
      const child = spawn(
        process.execPath,
        [command, "detect", photos, ...settings, "--json", json, "--overlay", overlay],
        { stdio: ["ignore", "pipe", "pipe"] },
      );
      let [out, err, sent] = ["", "", false];
      child.stderr.on("data", (data: Buffer) => (err += String(data)));
      child.stdout.on("data", (data: Buffer) => {
        out += String(data);
        if (!sent && out.split("\n").length > 4) sent = child.kill(signal);
      });
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, lines: out.trimEnd().split("\n"), err }));
    });

  it("leaves what was done: overlays, and a list that lacks its end; an earlier one is kept", async () => {
    const [json, overlay] = [join(folder, "killed.json"), join(folder, "killed")];
    writeFileSync(`${json}.partial`, "of an earlier run");
    const { lines } = await stopped("SIGKILL", json, overlay);
    expect(lines.length).toBeGreaterThanOrEqual(4);
    expect(lines.length).toBeLessThan(names.good.length);
    expect(existsSync(json)).toBe(false);
    expect(readFileSync(`${json}.partial`, "utf8")).toBe("of an earlier run");
    const found = JSON.parse(`${readFileSync(`${json}.partial-2`, "utf8")}]`) as Found[];
    const seen = lines.filter((line) => !line.includes("nothing found")).map((line) => line.split(":")[0]!);
    expect(namesIn(found)).toEqual(expect.arrayContaining(seen));
    expect(readdirSync(overlay).filter((name) => name.endsWith(".png")).length).toBeGreaterThanOrEqual(
      lines.length,
    );
  });

  it.each<NodeJS.Signals>(["SIGINT", "SIGTERM"])(
    "by %s finishes its picture and says where the results are",
    async (signal) => {
      const json = join(folder, `${signal}.json`);
      const { code, lines, err } = await stopped(signal, json, join(folder, signal));
      expect(code).toBe(130);
      expect(existsSync(json)).toBe(false);
      expect(err).toContain(`images that were done are in ${json}.partial.`);
      expect(namesIn(readFound(`${json}.partial`)).length).toBeLessThanOrEqual(lines.length);
    },
  );
});

describe("which pictures", () => {
  it("are passed over is said, with the first few names; those that begin with a dot are none", async () => {
    const mixed = folderOf("mac", "photo.jpg", "._photo.jpg", ".hidden.png", "b.jfif", "c.JPE");
    for (const name of ["notes.txt", "scan.pdf"]) writeFileSync(join(mixed, name), "");
    const { code, out, err } = await detect(mixed);
    expect(code).toBe(0);
    expect(out.split("\n").map((line) => line.split(":")[0])).toEqual(["b.jfif", "c.JPE", "photo.jpg"]);
    expect(err).toContain(
      `${mixed}: 4 files that are no images are passed over: ._photo.jpg, .hidden.png, notes.txt, …`,
    );
  });

  it("of kinds that can't be read are no silent loss: each is named, and the end is 3", async () => {
    const mixed = folderOf("phone", "a.jpg", "b.HEIC", "c.bmp", "d.cr2");
    for (const name of ["b.HEIC", "c.bmp", "d.cr2"]) writeFileSync(join(mixed, name), "of another kind");
    const { code, out, err } = await detect(mixed);
    expect({ code, out: out.split(":")[0] }).toEqual({ code: 3, out: "a.jpg" });
    for (const name of ["b.HEIC", "c.bmp", "d.cr2"])
      expect(err).toContain(`error: ${join(mixed, name)}: the image can't be read`);
  });

  it("are too large is for --max-pixels to say", async () => {
    expect((await detect(one, "--max-pixels", "4031")).err).toContain(
      "72x56 pixels, more than the limit of 4031 in all",
    );
    expect((await detect(one, "--max-pixels", "4032")).code).toBe(0);
  });

  it("lie in sub-folders is said, and with --recursive they are taken, in circles once, overlays apart", async () => {
    const nested = folderOf("nested", "a.jpg", "sub/a.jpg", "sub/deeper/b.jpg", "other/c.jpg", ".git/d.jpg");
    symlinkSync("..", join(nested, "sub", "up"));
    const flat = await detect(nested);
    expect(flat.out).toMatch(/^a\.jpg: [^\n]*$/);
    expect(flat.err).toContain(
      `${nested}: 2 folders in it are not looked into: other, sub. --recursive does that.`,
    );
    const overlay = join(nested, "overlays");
    for (let run = 0; run < 2; run++) {
      const deep = await detect(
        nested,
        "--recursive",
        "--overlay",
        overlay,
        "--json",
        join(folder, "nested.json"),
      );
      expect(deep).toMatchObject({ code: 0 });
      expect(deep.out.split("\n").map((line) => line.split(":")[0])).toEqual([
        "a.jpg",
        "other/c.jpg",
        "sub/a.jpg",
        "sub/deeper/b.jpg",
      ]);
    }
    expect(
      readdirSync(overlay, { recursive: true })
        .map(String)
        .filter((name) => name.endsWith(".png"))
        .toSorted(),
    ).toEqual(["a.png", "other/c.png", "sub/a.png", "sub/deeper/b.png"]);
  });

  it.runIf(process.platform === "linux")("whose names are not UTF-8 are named, with what to do", async () => {
    const odd = folderOf("odd", "good.png");
    copyFileSync(
      join(odd, "good.png"),
      Buffer.concat([Buffer.from(`${odd}/b`), Buffer.from([0xff]), Buffer.from(".png")]),
    );
    const { code, err } = await detect(odd);
    expect(code).toBe(3);
    expect(err).toContain(
      `error: ${join(odd, "b\uFFFD.png")}: its name is not UTF-8, so it can't be opened. Rename it.`,
    );
  });

  it("that are links in a circle are bad pictures like any other", async () => {
    const circle = folderOf("circle", "good.png");
    symlinkSync("loop.png", join(circle, "loop.png"));
    const json = join(folder, "circle.json");
    const { code, out, err } = await detect(
      circle,
      "--json",
      json,
      "--overlay",
      join(folder, "circle-overlays"),
    );
    expect({ code, out: out.split(":")[0] }).toEqual({ code: 3, out: "good.png" });
    expect(err).toContain(`error: ${join(circle, "loop.png")}: it is a symlink that leads to no file.`);
    expect(namesIn(readFound(json))).toEqual(["good.png"]);
  });

  it("of the same name get overlays of their own, and results that tell them apart", async () => {
    const [a, b] = [folderOf("a", "x.jpg", "x.jpeg", "X.jfif"), folderOf("b", "x.jpg", "x-2.jpg")];
    const overlay = join(folder, "apart");
    const { code, out } = await detect([a, b], "--overlay", overlay);
    expect(code).toBe(0);
    expect(new Set(readdirSync(overlay).map((name) => name.toLowerCase())).size).toBe(5);
    expect(out.split("\n").map((line) => line.split(": ")[0])).toEqual(
      ["X.jfif", "x.jpeg", "x.jpg"]
        .map((name) => join(a, name))
        .concat(["x-2.jpg", "x.jpg"].map((name) => join(b, name))),
    );
  });

  it("are never overwritten: not by an overlay, not by the results", async () => {
    const own = folderOf("own", "a.png", "b.jpg");
    const before = readFileSync(join(own, "a.png"));
    symlinkSync("own", join(folder, "link"));
    for (const args of [
      ["--overlay", own],
      ["--overlay", join(folder, "link")],
      ["--json", join(own, "a.png")],
    ]) {
      const { code, err } = await detect(own, ...args);
      expect(code).toBe(2);
      expect(err).toContain("would overwrite");
    }
    expect(readFileSync(join(own, "a.png")).equals(before)).toBe(true);
  });
});

describe("where results go", () => {
  it.runIf(process.platform === "linux")(
    "a disk that is full is one sentence, and nothing has the final name",
    async () => {
      const { code, err } = await detect(one, "--json", "/dev/full");
      expect(code).toBe(1);
      expect(err.split("\n").at(-1)).toBe(
        "error: /dev/full: the disk is full. Free some space or choose another folder.",
      );
    },
  );

  it("a place that can't be written is told before the work", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    for (const [option, path, reason] of [
      ["--json", join(file, "found.json"), "a part of the path is a file, not a folder"],
      ["--overlay", join(file, "overlays"), "a part of the path is a file, not a folder"],
      ["--overlay", file, "it is there already, as something else"],
      ["--json", folder, "that is a folder"],
    ] as const) {
      const { code, out, err } = await mrcnn("detect", one, "--model", "not looked at", option, path);
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toContain(reason);
    }
  });

  it("- is stdout, and then nothing else is on it", async () => {
    const { code, out, err } = await detect(photos, "--json", "-");
    expect(code).toBe(3);
    expect(namesIn(JSON.parse(out) as Found[]).every((name) => names.good.includes(name))).toBe(true);
    for (const name of names.good) expect(err).toContain(`${name}: `);
  });

  it.runIf(process.platform !== "win32")("a pipe gets the results, and stays a pipe", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    const reader = spawn("cat", [pipe]);
    let text = "";
    reader.stdout.on("data", (data: Buffer) => (text += String(data)));
    const done = new Promise((resolve) => reader.on("close", resolve));
    expect(await detect(one, "--json", pipe)).toMatchObject({ code: 0 });
    await done;
    expect(JSON.parse(text)).toBeInstanceOf(Array);
    expect(execFileSync("test", ["-p", pipe]).length).toBe(0);
  });
});
