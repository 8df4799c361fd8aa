import cliProgress from "cli-progress";
import type { Terminal } from "./terminal.ts";

/** A bar on a terminal, a line every ten seconds elsewhere; both on stderr, with rate and time left. */
export interface Progress {
  /** `done` of the total; `info` is the news of the moment. */
  update(done: number, info?: string): void;
  /** A line above the bar. */
  note(line: string): void;
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

// Rate over the last half minute: the first steps are slow and should not haunt the estimate.
function rateMeter(): (done: number) => number {
  const marks: { time: number; done: number }[] = [];
  return (done) => {
    const time = performance.now() / 1000;
    marks.push({ time, done });
    while (marks.length > 2 && time - marks[0]!.time > 30) marks.shift();
    const first = marks[0]!;
    return time > first.time ? (done - first.done) / (time - first.time) : 0;
  };
}

const rateText = (rate: number, unit: string): string =>
  rate >= 1 || rate === 0 ? `${rate.toFixed(1)} ${unit}/s` : `${(1 / rate).toFixed(1)} s/${unit.replace(/s$/, "")}`;

/** Starts a progress display. */
export function createProgress(terminal: Terminal, options: ProgressOptions): Progress {
  const { label, unit, total, start = 0, everySeconds = 10 } = options;
  const meter = rateMeter();
  meter(start);
  const timing = (done: number): string => {
    const rate = meter(done);
    const left = rate > 0 ? `, ${duration((total - done) / rate)} left` : "";
    return `${rateText(rate, unit)}${left}`;
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
    return {
      update: (done, info) => bar.update(done, { timing: timing(done), info: info === undefined ? "" : ` · ${info}` }),
      note(line) {
        process.stderr.write("\r\u001B[K");
        terminal.note(line);
        bar.render();
      },
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
    note: (line) => terminal.note(line),
    stop() {},
  };
}
