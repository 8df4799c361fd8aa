// The places that results may go to: what is tried, what clashes, and what is said when writing fails.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { CommandError, UsageError } from "../src/errors.ts";
import { openOutputs } from "../src/outputs.ts";
import type { Outputs } from "../src/outputs.ts";
import { temporaryFolder } from "./command.ts";

// Where stdout goes, and whether that is a terminal: of the test's choice, not of whoever runs it.
const stdout = vi.hoisted(() => ({ path: undefined as string | undefined, isTerminal: false }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return {
    ...fs,
    fstatSync: (descriptor: number): unknown => {
      if (descriptor !== 1) return fs.fstatSync(descriptor);
      if (stdout.path === undefined) throw new Error("EBADF: bad file descriptor, fstat");
      return fs.statSync(stdout.path);
    },
  };
});
vi.mock("node:tty", async (original) => ({
  ...(await original<object>()),
  isatty: (descriptor: number) => descriptor === 1 && stdout.isTerminal,
}));

// Which has no /dev/null, no pipes with names, and links for few.
const isWindows = process.platform === "win32";
const folder = temporaryFolder();
const place = (name: string): string => join(folder, name);
const file = (name: string, content = "old"): string => {
  writeFileSync(place(name), content);
  return place(name);
};
let said: string[] = [];
let isClosed: boolean | undefined;
afterEach(() => {
  said = [];
  isClosed = undefined;
  Object.assign(stdout, { path: undefined, isTerminal: false });
});
const terminal = {
  out: (line: string) => void said.push(`out: ${line}`),
  note: (line: string) => void said.push(`note: ${line}`),
  interactive: true,
  get isClosed() {
    return isClosed as boolean;
  },
};
type Places = Partial<Record<"--json" | "--html", string>>;
const open = (paths: Places, ...inputs: (string | undefined)[]): Outputs<"--json" | "--html"> =>
  openOutputs({ "--json": undefined, "--html": undefined, ...paths }, { terminal, inputs });

describe.skipIf(isWindows)("openOutputs", () => {
  it("gives what was asked for: regular files with their target, other places without", () => {
    const json = place("new/found.json");
    const { to, terminal: same } = open({ "--json": json });
    expect(Object.keys(to)).toEqual(["--json"]);
    expect(to["--json"]).toMatchObject({ path: json, target: { path: json, isFile: true, file: json } });
    expect(existsSync(place("new"))).toBe(true);
    expect(existsSync(json)).toBe(false);
    expect(same).toBe(terminal);
    expect(openOutputs({ "--json": undefined }, { terminal }).to).toEqual({});
    for (const path of ["-", "/dev/null"])
      expect(open({ "--json": path }).to["--json"]).toMatchObject({ path, target: undefined });
  });

  it("refuses two results in one place, by whatever names", () => {
    const [a, b] = [file("a.json"), place("b.json")];
    symlinkSync("a.json", place("link.json"));
    for (const [json, html] of [
      [a, a],
      [a, place("link.json")],
      [b, b],
      ["-", "-"],
    ] as const)
      expect(() => open({ "--json": json, "--html": html })).toThrow(
        new UsageError(
          `--json ${JSON.stringify(json)} and --html ${JSON.stringify(html)} are the same place. Name two.`,
        ),
      );
    expect(() => open({ "--json": a, "--html": b })).not.toThrow();
    expect(() => open({ "--json": "/dev/null", "--html": "/dev/null" })).not.toThrow();
    expect(() => open({ "--json": "" })).toThrow(new UsageError('--json "": name a file, or - for stdout.'));
  });

  it("refuses to write over what is read, but for devices", () => {
    const [a, b] = [file("read.json"), file("other.json")];
    symlinkSync("read.json", place("read-link.json"));
    for (const path of [a, place("read-link.json")])
      expect(() => open({ "--json": path }, undefined, b, a)).toThrow(
        new UsageError(
          `--json ${JSON.stringify(path)} would overwrite what is read: ${a}. Name another file.`,
        ),
      );
    expect(() => open({ "--json": a }, undefined, b)).not.toThrow();
    expect(() => open({ "--json": "/dev/null" }, "/dev/null")).not.toThrow();
    // Neither is there yet: they are no less two.
    expect(() => open({ "--json": place("none.json") }, place("nowhere.json"))).not.toThrow();
  });

  it("tries each place, and says which can't be written", () => {
    expect(() => open({ "--json": join(file("blocked"), "x.json") })).toThrow(/ENOTDIR/);
    expect(readFileSync(place("blocked"), "utf8")).toBe("old");
  });
});

describe.skipIf(isWindows)("results on stdout", () => {
  it("are its only words: all else is on stderr", async () => {
    const outputs = open({ "--json": "-" });
    outputs.terminal.out("a table");
    outputs.terminal.note("a note");
    // The terminal ends the line itself.
    await outputs.write({ "--json": () => "[\n1]\n\n" });
    expect(said).toEqual(["note: a table", "note: a note", "out: [\n1]\n"]);
    expect(outputs.terminal.interactive).toBe(true);
    expect(outputs.terminal.isClosed).toBe(false);
    isClosed = true;
    expect(outputs.terminal.isClosed).toBe(true);
    isClosed = undefined;
    expect(outputs.terminal.isClosed).toBe(false);
  });

  it("are also what is written to the file or the terminal that stdout is", async () => {
    stdout.path = file("redirected.json");
    const outputs = open({ "--json": stdout.path });
    expect(outputs.to["--json"]!.target).toBeUndefined();
    await outputs.write({ "--json": () => "1\n" });
    expect(said).toEqual(["out: 1"]);
    expect(readFileSync(stdout.path, "utf8")).toBe("old");
    expect(open({ "--json": file("redirected-2.json") }).to["--json"]!.target).toBeDefined();
    // A device is stdout only where that is a terminal: /dev/null takes anything from anyone.
    stdout.path = "/dev/null";
    expect(open({ "--json": "/dev/null" }).terminal).toBe(terminal);
    stdout.isTerminal = true;
    expect(open({ "--json": "/dev/null" }).terminal).not.toBe(terminal);
  });
});

describe("write", () => {
  it("makes and writes what was asked for, and no more", async () => {
    const json = place("written.json");
    const outputs = open({ "--json": json });
    let made = 0;
    const html = (): string => String(made++);
    await outputs.write({ "--html": html, "--json": async () => "new" });
    expect(readFileSync(json, "utf8")).toBe("new");
    expect(made).toBe(0);
    await open({ "--json": json }).write({});
    expect(readFileSync(json, "utf8")).toBe("new");
  });

  it("writes the others where one fails, throws the first failure and says the rest", async () => {
    const [json, html, third] = [place("fails.json"), place("fails.html"), place("works.json")];
    const outputs = openOutputs({ "--json": json, "--html": html, "--results": third }, { terminal });
    const error = new Error("no page\nof this");
    await expect(
      outputs.write({
        "--json": () => {
          throw new CommandError("no scores");
        },
        "--html": () => Promise.reject(error),
        "--results": () => "[]",
      }),
    ).rejects.toThrow(new CommandError("no scores"));
    expect(said).toEqual(["note: error: no page of this"]);
    expect(readFileSync(third, "utf8")).toBe("[]");
    expect([existsSync(json), existsSync(html)]).toEqual([false, false]);
  });

  it.runIf(process.platform === "linux")("passes on what a device says", async () => {
    await expect(open({ "--json": "/dev/full" }).write({ "--json": () => "1" })).rejects.toMatchObject({
      code: "ENOSPC",
      path: "/dev/full",
    });
  });

  describe.skipIf(isWindows)("to a pipe", () => {
    const pipe = place("pipe");
    const made = (): string => {
      if (!existsSync(pipe)) execFileSync("mkfifo", [pipe]);
      return pipe;
    };
    it("waits for a reader, and says so", async () => {
      const outputs = open({ "--json": made() });
      const writing = outputs.write({ "--json": () => "to the reader" });
      await vi.waitFor(() => expect(said).toEqual([`note: Waiting for a reader of ${pipe}.`]), 60_000);
      const reader = spawn("cat", [pipe]);
      let text = "";
      reader.stdout.on("data", (data: Buffer) => (text += String(data)));
      const closed = new Promise((resolve) => reader.on("close", resolve));
      await writing;
      await closed;
      expect(text).toBe("to the reader");
    });

    it("whose reader leaves is said by name", async () => {
      const outputs = open({ "--json": made() });
      const stream = outputs.to["--json"]!;
      const reader = spawn("head", ["-c", "1", pipe]);
      await expect(stream.write("x".repeat(1 << 22))).rejects.toThrow(
        new CommandError(`${pipe}: its reader has closed it before all was written.`),
      );
      reader.kill();
    });
  });

  it("is possible to folders made for it", async () => {
    mkdirSync(place("there"));
    const json = place("there/and/deeper.json");
    await open({ "--json": json }).write({ "--json": () => "{}" });
    expect(readFileSync(json, "utf8")).toBe("{}");
  });
});
