/** The public names of @mrcnn/core that need no TensorFlow.js. */
export { didYouMean, parseConfig } from "./config.ts";
export {
  BackendError,
  ConfigError,
  DatasetError,
  isMrcnnError,
  MemoryError,
  MrcnnError,
  ShapeError,
  TrainingError,
  WeightsError,
} from "./errors.ts";
export type { ErrorCode } from "./errors.ts";
export { compareIds, isCocoId, quoteIds } from "./ids.ts";
export type { CocoId } from "./ids.ts";
export { startFastest } from "./fastest-backend.ts";
export type { BackendOffer, ChosenBackend, ComputeDevice } from "./fastest-backend.ts";
export { whatFile } from "./file-kind.ts";
export { isRecord, quote, toJson } from "./json.ts";
export { createJsonReader, JsonError, parseJson } from "./json-reader.ts";
export type { JsonPlace, JsonReader, ReadJsonOptions } from "./json-reader.ts";
export { firstNotFinite } from "./finite.ts";
export { escapeUnprintable, printable } from "./printable.ts";
export { assertOptions, numberFrom, ofType, oneOf } from "./options.ts";
export type { OptionRule, OptionRules } from "./options.ts";
export { createRandom, noRandom } from "./random.ts";
export type { Random } from "./random.ts";
export { NotJsonError, readJson, readJsonBytes } from "./read-json.ts";
export { roundHalfToEven } from "./rounding.ts";
export { assertLength, assertShape, misfitOf } from "./shapes.ts";
export type * from "./types.ts";
