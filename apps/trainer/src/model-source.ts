import { existsSync, readFileSync } from "node:fs";
import { ConfigError, createRandom, WeightsError } from "@mrcnn/core";
import type { NamedArrays } from "@mrcnn/core";
import { createMaskRcnn, maskRcnnConfig, parseMaskRcnnConfig } from "@mrcnn/model";
import type { MaskRcnn, MaskRcnnConfig } from "@mrcnn/model";
import { readLatestWeights } from "@mrcnn/trainer/node";
import { assignWeights, fromTorch, readSafetensors, readSafetensorsMetadata } from "@mrcnn/weights";
import { cocoCategories } from "./coco-categories.ts";
import type { Category } from "./data-source.ts";
import type { DetectionSettings } from "./detection.ts";
import { CommandError, UsageError } from "./errors.ts";
import { isRun, readRunConfig, runDirectory } from "./run-directory.ts";

/** A model with its weights, and how it is meant to be used. */
export interface LoadedModel {
  readonly model: MaskRcnn;
  /** In the order of the labels: label 1 first. */
  readonly categories: readonly Category[];
  readonly settings: DetectionSettings;
}

const presets: Readonly<Record<string, { readonly mask: boolean }>> = {
  maskrcnn_resnet50_fpn: { mask: true },
  fasterrcnn_resnet50_fpn: { mask: false },
};

/**
 * Reads a safetensors file, ours or one that torch wrote (its layouts are turned into ours).
 *
 * @throws WeightsError naming the file when it is missing or cut.
 */
export function readWeightsFile(file: string): NamedArrays {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new WeightsError(`${file}: the weights can't be read: ${(cause as Error).message}. Check the path.`, { cause });
  }
  const arrays = readSafetensors(bytes, file);
  return readSafetensorsMetadata(bytes, file)["format"] === "mrcnn" ? arrays : fromTorch(arrays);
}

// torchvision's detectors keep frozen batch norm with eps 0; the number of classes follows the file.
function presetConfig(name: string, weights: NamedArrays, file: string): MaskRcnnConfig {
  const bias = weights.get("roi_heads.box_predictor.cls_score.bias");
  if (bias === undefined) throw new WeightsError(`${file}: roi_heads.box_predictor.cls_score.bias is missing. These are not weights of ${name}.`);
  const count = bias.data.length - 1;
  const classes = cocoCategories.length === count ? cocoCategories.map((c) => c.name) : Array.from({ length: count }, (_, i) => `class ${i + 1}`);
  return maskRcnnConfig({ classes, ...presets[name]!, backbone: { eps: 0 } });
}

/**
 * Loads `name`: a run directory of `mrcnn train`, or a preset, which needs `weights`. The caller disposes
 * the model.
 *
 * @throws UsageError for an unknown name; WeightsError for weights that are missing, cut or of another architecture.
 */
export async function loadModel(name: string, { weights }: { readonly weights?: string | undefined } = {}): Promise<LoadedModel> {
  const isPreset = name in presets;
  if (!isPreset && !isRun(name)) {
    const reason = existsSync(name) ? "has no config.json, so it is no run of `mrcnn train`" : "is neither a run directory nor a preset";
    throw new CommandError(`--model ${name} ${reason}. Presets: ${Object.keys(presets).join(", ")} (with --weights FILE.safetensors).`);
  }
  if (isPreset && weights === undefined) throw new UsageError(`--model ${name} needs --weights FILE.safetensors.`);
  const given = weights === undefined ? undefined : readWeightsFile(weights);
  if (isPreset) {
    const config = presetConfig(name, given!, weights!);
    const categories = config.classes.map((className, i) => ({ id: i + 1, name: className }));
    return { model: withWeights(config, given!, weights!), categories, settings: {} };
  }
  const run = runDirectory(name);
  const { model: modelConfig, data, evaluation } = readRunConfig(name);
  const config = parseMaskRcnnConfig(modelConfig, `${run.config}: model`);
  const categories = data.categories ?? config.classes.map((className, i) => ({ id: i + 1, name: className }));
  if (categories.length !== config.classes.length) throw new ConfigError(`${run.config}: data.categories and model.classes must be of the same length.`);
  return { model: withWeights(config, given ?? (await readLatestWeights(run.checkpoints)), weights ?? run.checkpoints), categories, settings: evaluation };
}

function withWeights(config: MaskRcnnConfig, arrays: NamedArrays, where: string): MaskRcnn {
  const model = createMaskRcnn(config, createRandom(0));
  try {
    assignWeights(model.variables, arrays);
  } catch (error) {
    model.dispose();
    if (error instanceof Error && !error.message.includes(where)) error.message = `${where}: ${error.message}`;
    throw error;
  }
  return model;
}
