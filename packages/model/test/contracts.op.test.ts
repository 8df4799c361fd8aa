// Every kernel contract of the house, on each backend: an attribute that it does not list is refused, and real ones are not.
import * as heads from "@mrcnn/heads/kernel";
import * as nn from "@mrcnn/nn/kernel";
import * as roiAlign from "@mrcnn/roi-align/kernel";
import * as rpn from "@mrcnn/rpn/kernel";
import * as trainer from "@mrcnn/trainer/kernel";
import { ConfigError } from "@mrcnn/core";
import { hasKernel, runKernel, runKernelOr } from "@mrcnn/core/tensors";
import type { KernelContract } from "@mrcnn/core/tensors";
import { scalar } from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";

const contracts = Object.entries({ ...heads, ...nn, ...roiAlign, ...rpn, ...trainer }).filter(([name]) =>
  name.endsWith("Contract"),
) as [string, KernelContract][];
const names = Object.entries({ ...heads, ...nn, ...roiAlign, ...rpn, ...trainer }).flatMap(([key, value]) =>
  /^[A-Z0-9_]+$/.test(key) && typeof value === "string" ? [value] : [],
);

it("every kernel that an op asks for has a contract; gradients are asked for by their op's", () => {
  const asked = names.filter((name) => !/(GroupNorm|RoiAlign|RoiAlignPyramid)Grad$/.test(name));
  expect(contracts.map(([, { name }]) => name).toSorted()).toEqual(asked.toSorted());
});

it.each(contracts)("%s refuses an invented attribute, and says which it knows", (_, contract) => {
  const message = `${contract.name}: softSigma is not among the kernel's attributes (${contract.attributes.join(", ") || "none"}).`;
  const invented = { softSigma: 0.5 };
  expect(() => hasKernel(contract, invented)).toThrow(message);
  expect(() => hasKernel(contract, invented)).toThrow(ConfigError);
  expect(() => runKernel(contract, {}, invented)).toThrow(message);
  expect(() => runKernelOr(contract, {}, invented, () => scalar(0))).toThrow(message);
});
