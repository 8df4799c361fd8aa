/** Progress of long work: a bar on a terminal, lines elsewhere. */
import cliProgress from "cli-progress";
import { shownName } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

/** A bar on a terminal, a line every ten seconds elsewhere; both on stderr, with rate and time left. */
export interface Progress {
  /** `done` of the total; `info` is the news of the moment. */
  update(done: number, info?: string): void;
  /** A line above the bar. */
  note(line: string): void;
  /** A line of results, on stdout; above the bar where both are seen. */
  out(line: string): void;
  /**
   * Does other work than what is counted (an evaluation within a training). Its time is no part of the rate;
   * what is left counts as many more such pauses as there were until now.
   */
  aside<T>(work: () => Promise<T>): Promise<T>;
  stop(): void;
}

export interface ProgressOptions {
  readonly label: string;
  /** What is counted, in the plural: "steps", "images". */
  readonly unit: string;
  readonly total: number;
  /** Already done when this begins (a resumed run). Default 0. */
  readonly start?: number;
  /** Seconds between lines when there is no bar. Default 10. */
  readonly everySeconds?: number;
}

/** Seconds as "1 h 02 min", "3 min 20 s" or "12 s". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const s = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, "0");
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return s >= 60 ? `${Math.floor(s / 60)} min ${two(s % 60)} s` : `${s} s`;
}

/** How fast a work goes, and how long it will take. Times in seconds. */
export interface Pace {
  /**
   * Units a second over the last half minute, pauses left out: the first steps are slow and should not haunt
   * the estimate.
   */
  rate(done: number): number;
  /**
   * Seconds until `total` are done, the pauses that will come among them; undefined while nothing can be
   * told.
   */
  left(done: number, total: number): number | undefined;
  /** Other work took so long. */
  pause(seconds: number): void;
}

/** Measures a pace from `start` units on; `now` gives the time, in seconds. */
export function createPace(start: number, now: () => number): Pace {
  const marks: { time: number; done: number }[] = [{ time: now(), done: start }];
  let [paused, pauses, last] = [0, 0, start];
  // Time that stands still while other work is done.
  const working = (): number => now() - paused;
  const rate = (): number => {
    const [first, latest] = [marks[0]!, marks.at(-1)!];
    return latest.time > first.time ? (latest.done - first.done) / (latest.time - first.time) : 0;
  };
  return {
    rate(done) {
      const time = working();
      marks.push({ time, done });
      while (marks.length > 2 && time - marks[0]!.time > 30) marks.shift();
      return rate();
    },
    left(done, total) {
      const speed = rate();
      if (speed <= 0) return undefined;
      const every = pauses === 0 || last <= start ? Infinity : (last - start) / pauses;
      const coming = Math.max(0, Math.floor((total - last) / every + 1e-9));
      return (total - done) / speed + (pauses === 0 ? 0 : (coming * paused) / pauses);
    },
    pause(seconds) {
      paused += seconds;
      pauses++;
      last = marks.at(-1)!.done;
    },
  };
}

const rateText = (rate: number, unit: string): string =>
  rate >= 1 || rate === 0 ?
    `${rate.toFixed(1)} ${unit}/s`
  : `${(1 / rate).toFixed(1)} s/${unit.replace(/s$/, "")}`;

/** Starts a progress display. */
export function createProgress(terminal: Terminal, options: ProgressOptions): Progress {
  const { unit, total, start = 0, everySeconds = 10 } = options;
  const label = shownName(options.label);
  const now = (): number => performance.now() / 1000;
  const pace = createPace(start, now);
  const timing = (done: number): string => {
    const rate = rateText(pace.rate(done), unit);
    const left = pace.left(done, total);
    return left === undefined ? rate : `${rate}, ${duration(left)} left`;
  };
  const aside = async <T>(work: () => Promise<T>): Promise<T> => {
    const before = now();
    try {
      return await work();
    } finally {
      pace.pause(now() - before);
    }
  };

  if (terminal.interactive) {
    const bar = new cliProgress.SingleBar({
      format: `${label} {bar} {value}/{total} ${unit} · {timing}{info}`,
      barCompleteChar: "█",
      barIncompleteChar: "░",
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      linewrap: false,
      stream: process.stderr,
      gracefulExit: false,
    });
    bar.start(total, start, { timing: "", info: "" });
    const above =
      (say: (line: string) => void) =>
      (line: string): void => {
        process.stderr.write("\r\u001B[K");
        say(line);
        bar.render();
      };
    return {
      update: (done, info) =>
        bar.update(done, { timing: timing(done), info: info === undefined ? "" : ` · ${shownName(info)}` }),
      note: above(terminal.note),
      out: above(terminal.out),
      aside,
      stop: () => bar.stop(),
    };
  }
  let last = performance.now();
  return {
    update(done, info) {
      const text = timing(done);
      if (performance.now() - last < everySeconds * 1000) return;
      last = performance.now();
      terminal.note(`${label}: ${done}/${total} ${unit}, ${text}${info === undefined ? "" : `, ${info}`}`);
    },
    note: terminal.note,
    out: terminal.out,
    aside,
    stop() {},
  };
}
