// A few of the kills of tools/torture/kills.mjs, which does a hundred, and signals to work that waits for ever.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { events, torture } from "../torture/kills.mjs";
import { root } from "../workspace.mjs";

test(
  "trainings that are killed, hung up on and left alone with closed streams end bit for bit as one that is not, after --resume",
  { timeout: 600_000 },
  async () => {
    // Every kind of event comes before one comes again.
    const { kills, runs } = await torture({ kills: 8, seed: 3, steps: 8 });
    expect(Object.keys(kills).toSorted()).toEqual(Object.keys(events).toSorted());
    expect(runs).toBeGreaterThan(0);
  },
);

test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
  "a second %s ends work that waits for a pipe which nobody writes to",
  { timeout: 60_000 },
  async (signal) => {
    const folder = mkdtempSync(join(tmpdir(), "mrcnn-signals-"));
    const pipe = join(folder, "pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    const built = (name: string): string =>
      JSON.stringify(pathToFileURL(join(root, "apps", "trainer", "dist", name)).href);
    const script = `
    import { readFile } from "node:fs/promises";
    import { onInterrupt } from ${built("interrupt.js")};
    const { signal } = onInterrupt({ out() {}, note() {}, interactive: false }, "Stopping.");
    signal.addEventListener("abort", () => console.log("asked to stop"));
    console.log("waiting");
    await readFile(${JSON.stringify(pipe)});
  `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on("exit", (_, by) => resolve(by)));
    const patience = setTimeout(() => child.kill("SIGKILL"), 20_000);
    child.stdout.on("data", (text: Buffer) => {
      if (String(text).includes("waiting")) child.kill(signal);
      // npm and the terminal each send one; two within half a second are one.
      if (String(text).includes("asked to stop")) setTimeout(() => child.kill(signal), 800);
    });
    expect(await ended).toBe(signal);
    clearTimeout(patience);
    rmSync(folder, { recursive: true });
  },
);
