/** Python globals that checkpoints contain beside tensors: plain data and settings. */
import { WeightsError } from "@mrcnn/core";
import { PickleGlobal, pickleGlobals, Text } from "./pickle.ts";
import type { PickleGlobals, Stateful } from "./pickle.ts";

/**
 * A placeholder for a settings object, as training scripts save them beside the weights: neither its state
 * nor its constructor's arguments are kept.
 */
class Settings extends Map<unknown, unknown> implements Stateful {
  setState(): void {}
}
const settings = (): Settings => new Settings();

/**
 * Libraries whose objects hold settings beside the weights: paths and dates of scripts' arguments,
 * Lightning's own classes and dicts, the usual configuration classes, torch's types of values. They become
 * empty records; nothing in them is needed, or run.
 */
const SETTINGS =
  /^(?:pathlib|datetime|pytorch_lightning|lightning|lightning_fabric|lightning_utilities|omegaconf|yacs\.config|addict\.addict|easydict|ml_collections|fvcore\.common\.config|detectron2\.config)\.|^typing\.Any$|^torch\.(?:b?float\d+|u?int\d+|bool|complex\d+|torch_version\.TorchVersion)$/;

/** Returns a table extended by these settings classes. */
export const withSettings = (table: PickleGlobals): PickleGlobals => ({
  get: (name) => table.get(name) ?? (SETTINGS.test(name) ? new PickleGlobal(name, settings) : undefined),
});

function dict([items = []]: readonly unknown[], spend: (items: number) => void): Map<unknown, unknown> {
  spend(
    items instanceof Map ? items.size
    : Array.isArray(items) ? items.length
    : 0,
  );
  if (items instanceof Map) return new Map(items);
  if (
    !Array.isArray(items) ||
    !items.every((item) => Array.isArray(item) && item.length === 2 && !(item[0] instanceof Text))
  ) {
    throw new WeightsError("a dict must be made of pairs");
  }
  return new Map(items as [unknown, unknown][]);
}

/**
 * Returns the bytes that a text stands for, as protocols before 3 store them:
 * `_codecs.encode(text, "latin1")`.
 */
function encode([text, encoding = "latin1"]: readonly unknown[]): unknown {
  if (encoding !== "latin1" && encoding !== "latin-1")
    throw new WeightsError(`bytes must be encoded as latin1, got ${JSON.stringify(encoding)}`);
  if (text instanceof Text) return text;
  if (typeof text !== "string") throw new WeightsError("bytes must be made of text");
  const codes = Array.from(text, (c) => c.codePointAt(0)!);
  if (codes.some((code) => code > 255)) throw new WeightsError("bytes must be made of characters below 256");
  return Uint8Array.from(codes);
}

const bytes = (args: readonly unknown[]): unknown =>
  args.length === 0 ? new Uint8Array(0)
  : args[0] instanceof Uint8Array ? args[0]
  : encode(args);

/** Globals of plain data, in torch's files and numpy's. */
export const plainGlobals: ReadonlyMap<string, PickleGlobal> = /* @__PURE__ */ pickleGlobals([
  ["collections.OrderedDict", dict],
  ["collections.Counter", dict],
  ["collections.defaultdict", () => new Map()],
  ["argparse.Namespace", settings],
  ["_codecs.encode", encode],
  ...["__builtin__", "builtins"].flatMap((module) => [
    [`${module}.bytes`, bytes] as const,
    [`${module}.bytearray`, bytes] as const,
    [`${module}.dict`, dict] as const,
    [`${module}.int`] as const,
    [`${module}.list`] as const,
    [`${module}.set`, ([items = []]: readonly unknown[]) => items] as const,
  ]),
]);
