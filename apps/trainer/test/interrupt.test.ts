// What the first signal, the second, and an error that nobody catches do to work that listens for them.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { onInterrupt } from "../src/interrupt.ts";
import type { Interrupt, InterruptOptions } from "../src/interrupt.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type Event = (typeof SIGNALS)[number] | "uncaughtException";
const EVENTS: readonly Event[] = [...SIGNALS, "uncaughtException"];

// The test runner's own listeners step aside: nothing here is an error of a test.
let others: Map<Event, readonly ((...args: never[]) => void)[]>;
let now: number;
let notes: string[];
let interrupt: Interrupt | undefined;
beforeEach(() => {
  others = new Map(EVENTS.map((name) => [name, process.listeners(name as "SIGINT")]));
  for (const name of EVENTS) process.removeAllListeners(name);
  now = 1000;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  notes = [];
});
afterEach(() => {
  interrupt?.release();
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const [name, all] of others) {
    process.removeAllListeners(name);
    for (const one of all) process.on(name as "SIGINT", one as () => void);
  }
});

const start = (options?: InterruptOptions): Interrupt =>
  (interrupt = onInterrupt(
    { out: () => {}, note: (line) => void notes.push(line), interactive: false },
    "Stopping; nothing is written.",
    options,
  ));
const listening = (): number[] => EVENTS.map((name) => process.listenerCount(name));
const asked = "\nStopping; nothing is written. Ctrl-C again quits at once.";

describe("onInterrupt", () => {
  it.each(SIGNALS)("takes the first %s for a request to stop, and says so once", (name) => {
    const { signal } = start();
    expect([signal.aborted, notes]).toEqual([false, []]);
    process.emit(name);
    expect([signal.aborted, notes]).toEqual([true, [asked]]);
  });

  it.each(SIGNALS)("ends the process by the second %s, whoever else listens", (name) => {
    const kill = vi.spyOn(process, "kill").mockReturnValue(true);
    start();
    process.on(name, () => {});
    process.emit("SIGINT", "SIGINT");
    now += 501;
    process.emit(name, name);
    // With a listener left, the signal would be heard once more instead of ending the process.
    expect(process.listenerCount(name)).toBe(0);
    expect(kill.mock.calls).toEqual([[process.pid, name]]);
    expect(notes).toEqual([asked]);
  });

  it("counts two signals within half a second as one", () => {
    const kill = vi.spyOn(process, "kill").mockReturnValue(true);
    start();
    process.emit("SIGINT", "SIGINT");
    process.emit("SIGINT", "SIGINT");
    now += 500;
    process.emit("SIGTERM", "SIGTERM");
    expect(kill).not.toHaveBeenCalled();
    expect(notes).toEqual([asked]);
  });

  it("hears, within listen, a signal that waits for the event loop to turn", async () => {
    const { signal, listen } = start();
    setImmediate(() => process.emit("SIGINT"));
    await Promise.resolve();
    expect(signal.aborted).toBe(false);
    await listen();
    expect(signal.aborted).toBe(true);
  });

  it("listens for signals alone unless faults are asked for, and for nothing once it is released", () => {
    start();
    expect(listening()).toEqual([1, 1, 1, 0]);
    interrupt!.release();
    expect(listening()).toEqual([0, 0, 0, 0]);
    start({ faults: true });
    expect(listening()).toEqual([1, 1, 1, 1]);
    interrupt!.release();
    expect(listening()).toEqual([0, 0, 0, 0]);
  });
});

describe("an error that nobody catches", () => {
  const fail = (error: unknown): boolean => process.emit("uncaughtException", error as Error);

  it("stops the work as a signal does; the first is kept, and said", () => {
    const { signal } = start({ faults: true });
    expect(interrupt!.fault).toBe(undefined);
    const first = new Error("the device is lost.");
    fail(first);
    fail(new Error("and so is this"));
    expect(signal.aborted).toBe(true);
    expect(interrupt!.fault).toBe(first);
    expect(notes).toEqual(["\nthe device is lost. Stopping; nothing is written."]);
  });

  it("is an error even where nothing was thrown", () => {
    start({ faults: true });
    fail(undefined);
    expect(interrupt!.fault).toEqual(new Error("an error without a word"));
    expect(notes).toEqual(["\nan error without a word. Stopping; nothing is written."]);
  });

  it("gives the work two minutes to end, and then ends the process", () => {
    vi.useFakeTimers();
    const exit = vi.spyOn(process, "exit").mockReturnValue(undefined as never);
    start({ faults: true });
    fail(new Error("lost"));
    vi.advanceTimersByTime(119_999);
    expect(exit).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(exit.mock.calls).toEqual([[1]]);
  });

  it("does not end the process once the work has ended", () => {
    vi.useFakeTimers();
    const exit = vi.spyOn(process, "exit").mockReturnValue(undefined as never);
    start({ faults: true });
    fail(new Error("lost"));
    interrupt!.release();
    vi.advanceTimersByTime(1_000_000);
    expect(exit).not.toHaveBeenCalled();
  });
});
