// Settings of a training that would do nothing: refused where they can't be meant, said where they may be.
import { ConfigError } from "@mrcnn/core";
import type { DataSource, TrainingConfig } from "./config.ts";

type Format = DataSource["format"];

/** Which formats of data use each key. */
const usedBy: Readonly<Record<Exclude<keyof DataSource, "format">, readonly Format[]>> = {
  images: ["coco", "folders"],
  annotations: ["coco"],
  degenerate: ["coco"],
  emptyCategories: ["coco"],
  orientation: ["coco", "folders"],
  maxPixels: ["coco", "folders"],
  folder: ["folders"],
  masks: ["folders"],
  className: ["folders"],
  shapes: ["shapes"],
};
const formats: readonly Format[] = ["coco", "folders", "shapes"];

const listed = (words: readonly string[]): string => words.join(words.length > 2 ? ", " : " and ");

function idleSource(source: DataSource, where: string): string | undefined {
  const { format, ...rest } = source;
  const given = (Object.keys(rest) as (keyof typeof usedBy)[]).filter((key) => rest[key] !== undefined);
  const idle = given.filter((key) => !usedBy[key].includes(format));
  if (idle.length === 0) {
    const both = (["images", "masks"] as const).filter((key) => source[key] !== undefined);
    return format === "folders" && source.folder !== undefined && both.length > 0 ?
        `${where}.${listed(both)} would do nothing beside ${where}.folder. Leave one of them out.`
      : undefined;
  }
  // What the paths are of, "shapes" apart: those are in a config that was changed.
  const paths = given.filter((key) => key !== "shapes");
  const meant =
    paths.length === 0 ?
      "shapes"
    : (formats.find((other) => paths.every((key) => usedBy[key].includes(other))) ?? format);
  const whole = JSON.stringify({
    ...(meant !== "coco" && { format: meant }),
    ...Object.fromEntries(given.filter((key) => usedBy[key].includes(meant)).map((key) => [key, rest[key]])),
  });
  const verb = `would do nothing with format ${JSON.stringify(format)}${format === "shapes" ? ", which generates its images" : ""}`;
  const without = given.filter((key) => !usedBy[key].includes(meant)).map((key) => `${where}.${key}`);
  const advice =
    meant === format ? "Leave that out" : (
      `Set ${where}.format=${meant}${without.length > 0 ? ` and leave out ${listed(without)}` : ""}`
    );
  return `${idle.map((key) => `${where}.${key}`).join(" and ")} ${verb}. ${advice}: --set '${where}=${whole}'.`;
}

/**
 * Refuses settings that would do nothing, so that nothing is trained otherwise than was asked for. Toggles of
 * the model (`mask`, `norm`) leave what belongs to their other state idle; that is what they are for.
 *
 * @throws ConfigError naming each, and what to set.
 */
export function assertEffective(config: TrainingConfig, file: string): void {
  const { data, augment, optimizer, training, evaluation } = config;
  const sources = Object.entries({ "data.train": data.train, "data.validation": data.validation });
  const idle = sources.flatMap(([where, source]) =>
    source === undefined ? [] : (idleSource(source, where) ?? []),
  );
  const refuse = (isIdle: boolean, text: string): void => void (isIdle && idle.push(text));
  const unseen = "does nothing without data.validation. Give that, or leave it out.";
  refuse(
    training.evaluateEvery > 0 && data.validation === undefined,
    `training.evaluateEvery=${training.evaluateEvery} ${unseen}`,
  );
  refuse(
    evaluation.limit !== undefined && data.validation === undefined,
    `evaluation.limit=${evaluation.limit} ${unseen}`,
  );
  const sizes = (["minSize", "maxSize"] as const).filter((key) => evaluation[key] !== undefined);
  refuse(
    evaluation.nativeSize && sizes.length > 0,
    `evaluation.${listed(sizes)} would do nothing with evaluation.nativeSize. Leave one of them out.`,
  );
  refuse(
    (evaluation.minSize ?? 0) > (evaluation.maxSize ?? Infinity),
    `evaluation.minSize must be at most evaluation.maxSize, got ${evaluation.minSize} and ${evaluation.maxSize}.`,
  );
  refuse(
    augment.maxSize !== undefined && augment.minSizes === undefined,
    `augment.maxSize=${augment.maxSize} does nothing without augment.minSizes: images keep their size. Set augment.minSizes=[…] too, or leave it out.`,
  );
  const shorter = augment.minSizes?.find((size) => size > (augment.maxSize ?? Infinity));
  refuse(
    shorter !== undefined,
    `augment.minSizes must be at most augment.maxSize, got ${shorter} and ${augment.maxSize}.`,
  );
  refuse(
    optimizer.milestones.some((milestone, i) => milestone < (optimizer.milestones[i - 1] ?? 0)),
    `optimizer.milestones must ascend, got ${JSON.stringify(optimizer.milestones)}.`,
  );
  refuse(
    optimizer.gamma !== 0.1 && optimizer.milestones.length === 0,
    `optimizer.gamma=${optimizer.gamma} does nothing without optimizer.milestones. Set them, or leave it out.`,
  );
  refuse(
    optimizer.warmupFactor !== 1e-3 && optimizer.warmupSteps === 0,
    `optimizer.warmupFactor=${optimizer.warmupFactor} does nothing without optimizer.warmupSteps. Set them, or leave it out.`,
  );
  refuse(
    !optimizer.decayNorms && optimizer.weightDecay === 0,
    "optimizer.decayNorms=false does nothing with optimizer.weightDecay=0. Leave one of them out.",
  );
  if (idle.length > 0) throw new ConfigError(`${file}: ${idle.join(" ")}`);
}

const share = (part: number, whole: number): string => `${Math.round((100 * part) / whole)} %`;

/** Says what of a config may be meant but is seldom so. */
export function effectNotes({ model, data, optimizer, training }: TrainingConfig): string[] {
  const { rate, warmupSteps, warmupFactor, milestones } = optimizer;
  const { steps } = training;
  const late = milestones.filter((milestone) => milestone >= steps);
  const reached = rate * (warmupFactor + (1 - warmupFactor) * ((steps - 1) / warmupSteps));
  const frozen = ["the stem", "layer1", "layer2", "layer3", "layer4"].slice(
    0,
    5 - model.backbone.trainableLayers,
  );
  return [
    ...(warmupSteps >= steps ?
      [
        `The warm-up (optimizer.warmupSteps=${warmupSteps}) is longer than the run (training.steps=${steps}): the rate ends at ${Number(reached.toPrecision(3))}, ${share(reached, rate)} of optimizer.rate=${rate}.`,
      ]
    : []),
    ...(late.length > 0 ?
      [
        `optimizer.milestones ${listed(late.map(String))} ${late.length === 1 ? "is" : "are"} beyond the run's ${steps} steps: the rate is not lowered there.`,
      ]
    : []),
    ...(training.evaluateEvery >= steps && data.validation !== undefined ?
      [
        `training.evaluateEvery=${training.evaluateEvery} is beyond the run's ${steps} steps: the model is evaluated at the end only.`,
      ]
    : []),
    ...(frozen.length > 0 && training.initialWeights === undefined ?
      [
        `No training.initialWeights are given, and model.backbone.trainableLayers=${model.backbone.trainableLayers} does not train ${listed(frozen)}: the random values they begin with stay. Set it to 5.`,
      ]
    : []),
  ];
}
