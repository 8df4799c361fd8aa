// bin/mrcnn.mjs around commands that hear nothing: every one of these computes, or waits, without letting its event loop turn.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "./command.ts";

const folder = temporaryFolder();
const bin = fileURLToPath(new URL("../bin", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}
interface Running {
  readonly process: ChildProcess;
  /** The process that computes. */
  readonly pid: number;
  readonly ended: Promise<Ended>;
}

/** Starts the supervisor with `body` for a command. It is ready once it has said its id. */
async function start(
  name: string,
  body: string,
  args: readonly string[] = [],
  stdio: readonly number[] = [],
): Promise<Running> {
  const own = join(folder, name);
  mkdirSync(own);
  for (const file of ["mrcnn.mjs", "lifeline.mjs"]) copyFileSync(join(bin, file), join(own, file));
  const ready = `import { writeSync } from "node:fs";\nimport { followParent } from "./lifeline.mjs";\nfollowParent();\nawait new Promise((go) => setTimeout(go, 300));\n`;
  writeFileSync(join(own, "command.mjs"), `${ready}${body}`);
  const child = spawn(process.execPath, [join(own, "mrcnn.mjs"), ...args], {
    stdio: ["ignore", "pipe", "pipe", ...stdio],
  });
  let [out, err] = ["", ""];
  const said = new Promise<number>((resolve) =>
    child.stdout!.on("data", (data) => ((out += data), out.includes("\n") && resolve(Number.parseInt(out)))),
  );
  child.stderr!.on("data", (data) => (err += data));
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal, out, err })),
  );
  return { process: child, pid: await Promise.race([said, ended.then(() => 0)]), ended };
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
function lives(pid: number): boolean {
  try {
    // One that has ended and that nobody has asked for yet is no more alive.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
async function dies(pid: number): Promise<void> {
  for (let i = 0; i < 100 && lives(pid); i++) await wait(50);
  expect(lives(pid)).toBe(false);
}

// The command listens, as ours do, but hears nothing.
const listening = 'for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => {});\n';
const sayId = 'writeSync(1, process.pid + "\\n");\n';
const blocked: Readonly<Record<string, string>> = {
  "in a loop": "for (;;);",
  "in WebAssembly": `const bytes = Uint8Array.from([0,97,115,109,1,0,0,0, 1,4,1,96,0,0, 3,2,1,0, 7,5,1,1,102,0,0, 10,9,1,7,0,3,64,12,0,11,11]);
new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.f();`,
  "for a thread": "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);",
};

describe.skipIf(process.platform === "win32").each(Object.keys(blocked))(
  "a command that is busy %s",
  (kind) => {
    it.concurrent.each<NodeJS.Signals>(["SIGINT", "SIGTERM", "SIGHUP"])(
      "is ended by a second %s",
      async (signal) => {
        const {
          process: child,
          pid,
          ended,
        } = await start(`${kind}-${signal}`, `${listening}${sayId}${blocked[kind]}`);
        child.kill(signal);
        child.kill(signal); // as npm's and the terminal's: the same one
        await wait(2500);
        expect(lives(pid)).toBe(true); // a step may be long; what it did is saved after it
        child.kill(signal);
        expect(await ended).toMatchObject({ signal });
        await dies(pid);
      },
    );

    it.concurrent("ends with the command, however that is killed", async () => {
      const {
        process: child,
        pid,
        ended,
      } = await start(`${kind}-killed`, `${listening}${sayId}${blocked[kind]}`);
      child.kill("SIGKILL");
      await dies(pid);
      expect((await ended).signal).toBe("SIGKILL");
    });
  },
);

describe.skipIf(process.platform === "win32")("the command", () => {
  it.concurrent("hears the first signal, and ends as it wants to", async () => {
    const body = `process.on("SIGTERM", () => { setTimeout(() => { writeSync(1, "saved\\n"); process.exit(130); }, 2500); });\nsetInterval(() => {}, 1000);\n${sayId}`;
    const { process: child, ended } = await start("hears", body);
    child.kill("SIGTERM");
    expect(await ended).toMatchObject({ code: 130, out: expect.stringContaining("saved") });
  });

  it.concurrent.each([0, 1, 3])("has its own exit code: %i", async (code) => {
    const { ended } = await start(`code-${code}`, `${sayId}process.exitCode = ${code};`);
    expect(await ended).toMatchObject({ code, signal: null, err: "" });
  });

  it.concurrent(
    "is said to have been killed, when neither it nor anyone at the terminal wanted so",
    async () => {
      const { pid, ended } = await start("oom", `${sayId}setInterval(() => {}, 1000);`);
      process.kill(pid, "SIGKILL");
      expect(await ended).toMatchObject({
        code: 137,
        err: "error: the command was killed, most likely by the system for want of memory. Use smaller images, or fewer at a time.\n",
      });
    },
  );

  it.concurrent("reads and writes what the shell has opened for it", async () => {
    const file = join(folder, "opened.txt");
    const { ended } = await start(
      "opened",
      `${sayId}writeSync(Number(process.argv[2].split("/").at(-1)), "results");\nif (process.env.MRCNN_LIFELINE !== undefined) process.exitCode = 9;`,
      ["/dev/fd/3"],
      [openSync(file, "w")],
    );
    expect(await ended).toMatchObject({ code: 0, err: "" });
    expect(readFileSync(file, "utf8")).toBe("results");
  });
});
