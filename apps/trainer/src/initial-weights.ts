/** Fills a new model with weights that were trained elsewhere, by name. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, printable, WeightsError } from "@mrcnn/core";
import type { HostArray, NamedArrays } from "@mrcnn/core";
import { assertWeightsSound } from "@mrcnn/model";
import type { MaskRcnn } from "@mrcnn/model";
import { whyNoFile } from "@mrcnn/datasets/node";
import { readWeightsFile } from "@mrcnn/mask-rcnn";
import { readLatestWeights } from "@mrcnn/trainer/node";
import {
  assignWeights,
  dequantize,
  fromTorch,
  readSafetensors,
  readSafetensorsMetadata,
  readWeights,
} from "@mrcnn/weights";
import type { SourceWeights } from "@mrcnn/weights";
import { CommandError } from "./errors.ts";
import { isRun, runDirectory } from "./run-directory.ts";

/** Reads a little-endian, C-ordered float32 .npy file. @throws WeightsError naming the file. */
export function readNpy(bytes: Uint8Array, where: string): HostArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isNpy = bytes.length > 12 && new TextDecoder("latin1").decode(bytes.subarray(1, 6)) === "NUMPY";
  if (!isNpy) throw new WeightsError(`${where}: not a .npy file, or cut short.`);
  const [length, start] = bytes[6] === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const shape = /'shape': \(([^)]*)\)/
    .exec(header)?.[1]
    ?.split(",")
    .filter((n) => n.trim() !== "")
    .map(Number);
  if (!header.includes("'<f4'") || !header.includes("'fortran_order': False") || shape === undefined) {
    throw new WeightsError(`${where}: must hold float32 in C order, its header is ${header.trim()}.`);
  }
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new Uint8Array(bytes.subarray(start + length)); // a Buffer's slice would be no copy
  if (data.length !== size * 4)
    throw new WeightsError(
      `${where}: must hold ${size} values, has ${data.length} bytes. It may be cut short.`,
    );
  return { shape, data: new Float32Array(data.buffer) };
}

// A folder of .npy files holds a backbone whose batch norms are folded into its convolutions: their
// biases are those of frozen batch norms that are otherwise the identity.
function readFolded(folder: string): NamedArrays {
  const arrays = new Map<string, HostArray>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".npy"))) {
    const array = readNpy(readFileSync(join(folder, file)), join(folder, file));
    const name = file.slice(0, -".npy".length);
    const conv = /^(.*?)(conv(\d)|downsample\.0)\.bias$/.exec(name);
    if (conv === null) {
      arrays.set(`backbone.body.${name}`, array);
      continue;
    }
    const norm = `backbone.body.${conv[1]}${conv[3] === undefined ? "downsample.1" : `bn${conv[3]}`}`;
    const filled = (value: number): HostArray => ({
      shape: array.shape,
      data: new Float32Array(array.data.length).fill(value),
    });
    arrays
      .set(`${norm}.bias`, array)
      .set(`${norm}.weight`, filled(1))
      .set(`${norm}.running_mean`, filled(0))
      .set(`${norm}.running_var`, filled(1));
  }
  if (arrays.size === 0)
    throw new CommandError(
      `${folder}: is neither a run of \`mrcnn train\` nor holds .npy files. Name a run, a folder of weights, or a file.`,
    );
  return fromTorch(arrays);
}

type Found = Pick<SourceWeights, "arrays" | "notes" | "isClassifier">;

// A folder is a run, or holds .npy files; of a safetensors file any names are taken, a backbone's alone too.
async function readArrays(path: string, norm: string): Promise<Found> {
  if (isRun(path)) {
    const notes: string[] = [];
    return {
      arrays: await readLatestWeights(runDirectory(path).checkpoints, { onNote: (note) => notes.push(note) }),
      notes,
    };
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    const arrays = readFolded(path);
    if (norm !== "frozen_batch_norm")
      throw new ConfigError(
        `${path}: these weights have batch norm folded in; a backbone with ${norm} can't use them. Set model.backbone.norm to "frozen_batch_norm".`,
      );
    return { arrays, notes: [] };
  }
  const why = whyNoFile(path);
  if (why !== undefined) throw new WeightsError(`${path}: the weights can't be read: ${why}`);
  if (path.endsWith(".index.json")) return readWeightsFile(path);
  const bytes = readFileSync(path);
  if (path.endsWith(".safetensors")) {
    const arrays = readSafetensors(bytes, path);
    if (readSafetensorsMetadata(bytes, path)["format"] === "mrcnn") return { arrays: dequantize(arrays) };
    if ([...arrays.keys()].some((name) => name.startsWith(BODY))) return { arrays: fromTorch(arrays) };
  }
  return readWeights(bytes, path, { classifiers: true });
}

const BODY = "backbone.body.";

/** What a classifier of torchvision was trained with, and its shapes don't tell. */
function assertClassifierFits({ config, variables }: MaskRcnn, arrays: NamedArrays, path: string): void {
  const { backbone, image } = config;
  const wanted = {
    "model.backbone.eps": [backbone.eps, 1e-5],
    "model.backbone.strideIn1x1": [backbone.strideIn1x1, false],
    "model.image.channelOrder": [image.channelOrder, "rgb"],
    "model.image.range": [image.range, 1],
  } as const;
  const wrong = Object.entries(wanted).filter(([, [is, must]]) => is !== must);
  if (wrong.length > 0) {
    throw new ConfigError(
      `${path}: a classifier of torchvision was trained with other arithmetic than this model's: set ${wrong.map(([key, [is, must]]) => `${key}=${must} (${is} now)`).join(", ")}.`,
    );
  }
  const names = [...variables.keys()].filter((name) => /^(backbone\.body|roi_heads\.layer4)\./.test(name));
  const missing = names.find(
    (name) => String(arrays.get(name)?.shape) !== String(variables.get(name)!.shape),
  );
  const strange = [...arrays.keys()].find((name) => !variables.has(name));
  if (missing === undefined && strange === undefined) return;
  const what =
    missing === undefined ?
      `the model has no ${strange}`
    : `the model's ${missing} is [${variables.get(missing)!.shape.join(", ")}], the file's ${arrays.has(missing) ? `[${arrays.get(missing)!.shape.join(", ")}]` : "is missing"}`;
  throw new ConfigError(
    `${path}: this is another ResNet than the model's backbone: ${what}. Set model.backbone.depth (${backbone.depth} now), width (${backbone.width}), cardinality (${backbone.cardinality}) and widthPerGroup (${backbone.widthPerGroup}) to the file's: ` +
      "resnet50 has depth 50, width 64, cardinality 1 and widthPerGroup 64; resnext50_32x4d cardinality 32 and widthPerGroup 4; wide_resnet50_2 widthPerGroup 128.",
  );
}

// Statistics of batch norm mean nothing to group norm, nor its weights the other way round.
function assertNormFits({ config, variables }: MaskRcnn, arrays: NamedArrays, path: string): void {
  const norm = `${BODY}bn1.`;
  if (!arrays.has(`${norm}weight`)) return;
  const isBatch = arrays.has(`${norm}running_mean`);
  if (isBatch === variables.has(`${norm}running_mean`)) return;
  throw new ConfigError(
    `${path}: these weights have ${isBatch ? "batch" : "group"} norm; a backbone with ${config.backbone.norm} can't use them. Set model.backbone.norm to ${isBatch ? '"frozen_batch_norm" or "batch_norm"' : '"group_norm"'}.`,
  );
}

// "backbone.fpn (16), rpn.head (6)": the parts of tensors' names.
function parts(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) {
    const part = name.split(".").slice(0, 2).join(".");
    counts.set(part, (counts.get(part) ?? 0) + 1);
  }
  return (
    [...counts]
      .map(([part, count]) => `${printable(part)} (${count})`)
      .slice(0, 8)
      .join(", ") + (counts.size > 8 ? " and more" : "")
  );
}

const elements = (arrays: Iterable<readonly [string, { readonly shape: readonly number[] }]>): number =>
  [...arrays].reduce((sum, [, { shape }]) => sum + shape.reduce((a, b) => a * b, 1), 0);

/**
 * Puts initial weights into a model: those of `path` (a run, a file of torchvision, detectron2, matterport or
 * this project, a classifier of torchvision, or a folder of .npy files) whose names and shapes are the
 * model's. The others keep their random start.
 *
 * @returns how many of the model's weights were found, and what was taken and left out, in sentences.
 * @throws WeightsError when nearly none fits, or nothing can be computed with one, which it names;
 *   ConfigError for settings of the model that the weights were not trained with.
 */
export async function loadInitialWeights(
  model: MaskRcnn,
  path: string,
): Promise<{ readonly found: number; readonly of: number; readonly notes: readonly string[] }> {
  const {
    arrays: read,
    notes = [],
    isClassifier = false,
  } = await readArrays(path, model.config.backbone.norm);
  // C4 has the last stage as its head.
  const isC4 = isClassifier && model.variables.has("roi_heads.layer4.0.conv1.weight");
  const arrays =
    isC4 ?
      new Map([...read].map(([name, array]) => [name.replace(`${BODY}layer4.`, "roi_heads.layer4."), array]))
    : read;
  assertNormFits(model, arrays, path);
  if (isClassifier) assertClassifierFits(model, arrays, path);
  const fitting = new Map(
    [...arrays].filter(([name, { shape }]) => String(model.variables.get(name)?.shape) === String(shape)),
  );
  const rest = [...arrays.keys()].filter((name) => !fitting.has(name));
  if (elements(fitting) < elements(arrays) / 10) {
    throw new WeightsError(
      `${path}: ${fitting.size === 0 ? "no weight has" : `only ${fitting.size} of ${arrays.size} weights have`} the name and shape of one of the model's. They are of another architecture; left out would be ${parts(rest)}.`,
    );
  }
  assertWeightsSound(
    model.config,
    fitting,
    path,
    (name, value) => `--set model.${name}=${JSON.stringify(value)}`,
  );
  assignWeights(new Map([...model.variables].filter(([name]) => fitting.has(name))), fitting);
  const random = [...model.variables.keys()].filter((name) => !fitting.has(name));
  return {
    found: fitting.size,
    of: model.variables.size,
    notes: [
      `Initial weights: ${fitting.size} of ${model.variables.size} tensors from ${path}.${random.length > 0 ? ` At random begin ${parts(random)}.` : ""}${rest.length > 0 ? ` Not used of the file: ${parts(rest)}.` : ""}`,
      ...notes,
    ],
  };
}
