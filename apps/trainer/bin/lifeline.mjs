// Ends a process with the one that started it: whoever kills `mrcnn` means all of it, and nothing may go on writing.
import { Worker } from "node:worker_threads";

/** The variable that says which file descriptor stays open for as long as the parent lives. */
export const LIFELINE = "MRCNN_LIFELINE";

// In a thread of its own: the main one may be computing.
const source = `
const { Socket } = require("node:net");
const { workerData } = require("node:worker_threads");
const end = () => process.kill(process.pid, "SIGKILL");
new Socket({ fd: workerData, readable: true, writable: false }).on("close", end).on("error", end).resume();
`;

/** Watches the lifeline, where there is one. */
export function followParent() {
  const fd = process.env[LIFELINE];
  if (fd === undefined) return;
  delete process.env[LIFELINE];
  const thread = new Worker(source, { eval: true, workerData: Number(fd) });
  thread.on("error", () => {}); // without it, the process ends by itself
  thread.unref();
}
