/**
 * Weights of torchvision's ResNet classifiers (resnet18 to 152, resnext, wide_resnet), the usual backbones to
 * train a detector from.
 */
import type { NamedArrays } from "@mrcnn/core";
import { fromTorch } from "./torch-layout.ts";

const BODY = /^(?:conv1|bn1|layer[1-4]\.\d+\.(?:conv[123]|bn[123]|downsample\.[01]))\.\w+$/;
const OUTPUT = /^fc\.(?:weight|bias)$/;

/** Tells whether the names are those of such a classifier, with or without its output layer. */
export const isClassifier = (names: readonly string[]): boolean =>
  ["conv1.weight", "bn1.weight", "layer4.0.conv1.weight"].every((name) => names.includes(name)) &&
  names.every((name) => BODY.test(name) || OUTPUT.test(name));

/**
 * Returns the classifier's weights as those of a detector's backbone, in this project's names and layouts,
 * without the output layer.
 */
export function fromClassifier(tensors: NamedArrays): {
  readonly arrays: NamedArrays;
  readonly notes: readonly string[];
} {
  const body = [...tensors].flatMap(([name, tensor]) =>
    BODY.test(name) ? [[`backbone.body.${name}`, tensor] as const] : [],
  );
  const left = [...tensors.keys()].filter((name) => OUTPUT.test(name));
  return {
    arrays: fromTorch(new Map(body)),
    notes: left.length === 0 ? [] : [`The classifier's output layer (${left.join(", ")}) is left out.`],
  };
}
