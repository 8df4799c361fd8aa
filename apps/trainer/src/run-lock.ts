// The lock of a run's folder: two trainings that write into one would spoil both.
import { spawnSync } from "node:child_process";
import { linkSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { parseConfig } from "@mrcnn/core";
import * as v from "valibot";
import { CommandError } from "./errors.ts";

/** Who holds a lock: a process id alone is given anew, and a folder may be another machine's as well. */
const ownerSchema = v.object({ pid: v.number(), started: v.string(), host: v.string() });
type Owner = v.InferOutput<typeof ownerSchema>;

export interface RunLock {
  /** Gives the folder free; removes it when this lock has made it and nothing came of it. */
  release(): void;
}

/**
 * When a process began, in words that two processes of one id don't share; undefined when none of that id
 * runs.
 */
function startOf(pid: number): string | undefined {
  if (process.platform === "linux") {
    try {
      // Fields 3 and 22, after the name in parentheses, which may hold anything: its state, and the clock
      // ticks of the machine when it began. One that has ended is listed until its parent has asked how,
      // which some never do.
      const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
        .replace(/^.*\) /s, "")
        .split(" ");
      const [state, ticks] = [fields[0], fields[19]];
      if (state === "Z" || state === "X") return undefined;
      return `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${ticks}`;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    }
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
  }
  if (process.platform === "win32") return "";
  return spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).stdout?.trim() ?? "";
}

const self = (): Owner => ({ pid: process.pid, started: startOf(process.pid) ?? "", host: hostname() });

// What a machine that lost its power left of it is nobody's.
function ownerIn(file: string): Owner | undefined {
  try {
    return parseConfig(ownerSchema, JSON.parse(readFileSync(file, "utf8")), file);
  } catch {
    return undefined;
  }
}

const isSame = (a: Owner | undefined, b: Owner): boolean =>
  a?.pid === b.pid && a.started === b.started && a.host === b.host;

const pause = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

// What a killed command leaves of itself to end; more on a busy machine than on a quiet one.
const PATIENCE_MS = 3000;

function assertGone(owner: Owner | undefined, folder: string, file: string): void {
  if (owner === undefined) return;
  const here = owner.host === hostname();
  for (const began = performance.now(); here; pause(50)) {
    if (startOf(owner.pid) !== owner.started) return; // it was killed
    if (owner.pid === process.pid || performance.now() - began > PATIENCE_MS) break;
  }
  throw new CommandError(
    here ?
      `${folder}: another training is writing there (process ${owner.pid}). Wait for it or stop it, or give another --out.`
    : `${folder}: another training is writing there (process ${owner.pid} on host ${owner.host}). Whether it still runs can't be seen from host ${hostname()}: when it doesn't, remove ${file}.`,
  );
}

/**
 * Takes `folder` (which is made) for this process. A lock that a process left which was killed is taken over.
 *
 * @throws CommandError naming the process, and its host where that is another, that holds it.
 */
export function lockRun(folder: string): RunLock {
  const made = mkdirSync(folder, { recursive: true });
  const file = join(folder, "train.lock");
  const own = self();
  const aside = join(folder, `.train.lock.${process.pid}.${performance.now()}`);
  const removeFolders = (): void => {
    for (let at = folder; made !== undefined && at.length >= made.length; at = dirname(at)) {
      try {
        rmdirSync(at);
      } catch {
        return; // something is in it
      }
    }
  };
  try {
    writeFileSync(aside, JSON.stringify(own));
    try {
      linkSync(aside, file); // fails where one is
    } catch (error) {
      const found = ownerIn(file);
      if ((error as NodeJS.ErrnoException).code === "EEXIST" || found !== undefined)
        assertGone(found, folder, file);
      // Two may find the same lock left behind: the last to put its own there has it.
      renameSync(aside, file);
      pause(50);
      assertOwn(ownerIn(file), own, folder, file);
    }
  } catch (error) {
    rmSync(aside, { force: true });
    removeFolders();
    throw error;
  }
  rmSync(aside, { force: true });
  return {
    release() {
      if (isSame(ownerIn(file), own)) rmSync(file, { force: true });
      removeFolders();
    },
  };
}

function assertOwn(found: Owner | undefined, own: Owner, folder: string, file: string): void {
  if (isSame(found, own)) return;
  assertGone(found, folder, file);
  throw new CommandError(`${folder}: another training has just begun to write there. Give another --out.`);
}
