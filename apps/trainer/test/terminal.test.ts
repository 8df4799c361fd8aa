// What reaches the terminal, and what happens when nobody is there.
import { spawn } from "node:child_process";
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseJson } from "@mrcnn/core";
import { describe, expect, it } from "vitest";
import { main } from "../src/main.ts";
import { createProgress } from "../src/progress.ts";
import { shown, shownName, showing } from "../src/terminal.ts";
import { describeProcesses, mrcnn, temporaryFolder, writeJson } from "./command.ts";

const folder = temporaryFolder();
const command = fileURLToPath(new URL("../bin/mrcnn.mjs", import.meta.url));
const cells = fileURLToPath(new URL("../../../packages/nuclei/samples/", import.meta.url));

// ECMA-48's ESC, CSI in one byte, BEL; a carriage return that writes over the line; text turned round.
const hostile = "a\u001b[2J\u009b31m\u0007\rb\u202ec";
const tame = "a\\u001b[2J\\u009b31m\\u0007\\u000db\\u202ec";
// eslint-disable-next-line no-control-regex -- what must not get through
const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;

describe("names from files", () => {
  it("are shown, lines and tabs kept, and JSON stays the same JSON", () => {
    expect(shown(`1\t${hostile}\n2`)).toBe(`1\t${tame}\n2`);
    expect(shownName("a\nb\tc")).toBe("a\\u000ab\\u0009c");
    expect(shown("Käfer 車 👩")).toBe("Käfer 車 👩");
    const value = { [hostile]: [hostile, "\u{e0041}"] };
    expect(parseJson(shown(JSON.stringify(value)))).toEqual(value);
  });

  it("go through one place: results, notes and errors alike", () => {
    const said: string[] = [];
    const terminal = showing({
      out: (line) => void said.push(line),
      note: (line) => void said.push(line),
      interactive: false,
    });
    terminal.out(hostile);
    terminal.note(hostile);
    expect(said).toEqual([tame, tame]);
  });

  it.runIf(process.platform !== "win32")(
    "of files, classes, options and models reach no command's output raw",
    async () => {
      const path = join(folder, hostile);
      mkdirSync(path);
      const line = join(folder, "two\nlines.png");
      writeFileSync(line, "no picture");
      const annotations = writeJson(folder, "classes.json", {
        images: [],
        annotations: [],
        categories: [
          { id: 1, name: hostile },
          { id: 2, name: "b" },
        ],
      });
      for (const args of [
        ["detect", path, "--model", "nuclei"],
        ["detect", join(path, "none.png"), line, "--model", "nuclei"],
        ["detect", cells, "--model", hostile],
        ["inspect", "--images", path, "--annotations", annotations],
        ["eval", "--model", hostile, "--images", path, "--annotations", join(path, "none.json")],
        ["train", join(path, "none.json"), "--out", path],
        [hostile],
        ["models", `--${hostile}`],
      ]) {
        const { out, err } = await mrcnn(...args);
        expect(out + err).not.toMatch(obeyed);
        expect(out + err).toContain("\\u001b[2J");
      }
      expect((await mrcnn("detect", line, "--model", "nuclei", "--backend", "wasm")).err).toContain(
        "two\\u000alines.png",
      );
    },
  );

  it("reach no bar raw", () => {
    const said: string[] = [];
    const progress = createProgress(
      showing({
        out: (line) => void said.push(line),
        note: (line) => void said.push(line),
        interactive: false,
      }),
      { label: hostile, unit: "steps", total: 2, everySeconds: 0 },
    );
    progress.update(1, hostile);
    expect(said[0]).toMatch(/^a\\u001b\[2J.*: 1\/2 steps, /);
    expect(said[0]).not.toMatch(obeyed);
  });
});

/** Runs the command as a process; `close` closes a stream of it after its first piece. */
const run = (
  args: readonly string[],
  {
    close,
    stdout,
    cwd,
    env,
  }: { close?: "stdout" | "stderr" | "both"; stdout?: number; cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<{ code: number | null; signal: string | null; out: string; err: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args], {
      stdio: ["ignore", stdout ?? "pipe", "pipe"],
      cwd,
      env: { ...process.env, ...env },
    });
    const text = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      if (close === name || close === "both") child[name]?.destroy();
      else child[name]?.on("data", (data: Buffer) => (text[name] += String(data)));
    }
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, out: text.stdout, err: text.stderr }));
  });

describeProcesses("closed streams", () => {
  it.each([
    ["models, stdout", ["models"], "stdout"],
    ["models, both", ["models"], "both"],
    ["help, stdout", ["detect", "--help"], "stdout"],
    ["an error, stderr", ["detect", "none.png", "--model", "nuclei"], "stderr"],
  ] as const)("%s: no stack, and the exit code is the work's own", async (name, args, close) => {
    const { code, signal, err } = await run(args, { close });
    expect({ code, signal }).toEqual({ code: name.startsWith("an error") ? 3 : 0, signal: null });
    expect(err).not.toMatch(/at |EPIPE|Error/);
  });

  it("a detection that writes files goes on without readers", async () => {
    const photos = join(folder, "photos");
    mkdirSync(photos);
    for (const name of ["a.webp", "b.webp", "c.webp"])
      copyFileSync(join(cells, "fluorescence.webp"), join(photos, name));
    const json = join(folder, "unread.json");
    const { code } = await run(
      [
        "detect",
        photos,
        "--model",
        "nuclei",
        "--backend",
        "wasm",
        "--min-size",
        "64",
        "--max-size",
        "64",
        "--json",
        json,
      ],
      { close: "both" },
    );
    expect(code).toBe(0);
    expect(JSON.parse(readFileSync(json, "utf8"))).toBeInstanceOf(Array);
  });

  it.runIf(process.platform === "linux")("a full disk behind stdout is an error that says so", async () => {
    const full = openSync("/dev/full", "w");
    const { code, err } = await run(["models"], { stdout: full });
    closeSync(full);
    expect(code).toBe(1);
    expect(err).toMatch(/^error: stdout can't be written: ENOSPC/m);
  });
});

describeProcesses("from another folder", () => {
  it("`npm run mrcnn` takes paths from where the user stands; other scripts from where they run", async () => {
    const root = fileURLToPath(new URL("../../..", import.meta.url));
    const args = ["detect", "here.png", "--model", "nuclei"];
    const here = join(folder, "stands");
    mkdirSync(here);
    const json = ["models", "--json", "models.json"];
    expect((await run(json, { cwd: root, env: { npm_lifecycle_event: "mrcnn", INIT_CWD: here } })).code).toBe(
      0,
    );
    expect(readFileSync(join(here, "models.json"), "utf8")).toContain("nuclei");
    // A script of the user's own, of the same name, in their own package.
    expect(
      (await run(args, { cwd: folder, env: { npm_lifecycle_event: "mrcnn", INIT_CWD: here } })).code,
    ).toBe(3);
    expect(
      (
        await run(["models", "--json", "own.json"], {
          cwd: folder,
          env: { npm_lifecycle_event: "mrcnn", INIT_CWD: here },
        })
      ).code,
    ).toBe(0);
    expect(readFileSync(join(folder, "own.json"), "utf8")).toContain("nuclei");
  });
});

it("main speaks where it is told to", async () => {
  const said: string[] = [];
  expect(
    await main(["models"], { out: (line) => void said.push(line), note: () => {}, interactive: false }),
  ).toBe(0);
  expect(said.length).toBeGreaterThan(5);
});
