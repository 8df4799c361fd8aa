/** The errors of this project, recognised by a code. */
import { escapeUnprintable } from "./printable.ts";

/**
 * The kind of an error. Messages say where, what was expected, what was given, and what to do. Errors are
 * recognised by `code` rather than by class, so that two copies of this package in one process recognise each
 * other's errors.
 */
export type ErrorCode = "shape" | "config" | "backend" | "memory" | "weights" | "dataset" | "training";

/**
 * The base class of every error that this project throws on purpose. Names in its message may come from
 * files, so control characters in it are escaped.
 */
export class MrcnnError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(escapeUnprintable(message, "\n\t"), options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** A tensor or array of the wrong shape, length or dtype. */
export class ShapeError extends MrcnnError {
  constructor(message: string, options?: ErrorOptions) {
    super("shape", message, options);
  }
}

/** An invalid configuration: unknown keys, values out of range, contradictions. */
export class ConfigError extends MrcnnError {
  constructor(message: string, options?: ErrorOptions) {
    super("config", message, options);
  }
}

/** A backend that is missing, busy or lacks an ability. */
export class BackendError extends MrcnnError {
  constructor(message: string, options?: ErrorOptions) {
    super("backend", message, options);
  }
}

/**
 * Not enough memory for an operation; the message says how much is needed, how much there is, and what needs
 * less.
 */
export class MemoryError extends MrcnnError {
  /**
   * The first part of the message, for callers with better advice: how much memory is needed and how much
   * there is.
   */
  readonly shortage: string;
  /** The second part of the message: what to do. */
  readonly remedy: string;
  constructor(shortage: string, remedy: string, options?: ErrorOptions) {
    super("memory", `${shortage} ${remedy}`, options);
    this.shortage = shortage;
    this.remedy = remedy;
  }
}

/** A weight file that is truncated, corrupt, or of another architecture. */
export class WeightsError extends MrcnnError {
  constructor(message: string, options?: ErrorOptions) {
    super("weights", message, options);
  }
}

/** An image or annotation that is missing or wrong; the message names the file or the id. */
export class DatasetError extends MrcnnError {
  constructor(message: string, options?: ErrorOptions) {
    super("dataset", message, options);
  }
}

/** A training run that can't continue: the message names the step, the image and the loss term. */
export class TrainingError extends MrcnnError {
  constructor(message: string, options?: ErrorOptions) {
    super("training", message, options);
  }
}

/** Tells whether `error` is one of this project's, of any copy of this package; with `code`, of that kind. */
export function isMrcnnError(error: unknown, code?: ErrorCode): error is MrcnnError {
  if (!(error instanceof Error) || !("code" in error)) return false;
  const known: readonly unknown[] = [
    "shape",
    "config",
    "backend",
    "memory",
    "weights",
    "dataset",
    "training",
  ];
  return code === undefined ? known.includes(error.code) : error.code === code;
}
