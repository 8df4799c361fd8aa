import {
  dispose,
  getBackend,
  getGradient,
  getKernel,
  grad,
  mul,
  square,
  tensor1d,
  unregisterGradient,
  unregisterKernel,
} from "@tensorflow/tfjs-core";
import type { GradConfig, KernelConfig, Tensor } from "@tensorflow/tfjs-core";
import { afterEach, expect, test } from "vitest";
import { expectClose, expectNoLeaks } from "@mrcnn/testing";
import { hasKernel, registerKernels, runKernel, runKernelOr } from "../src/tensors/index.ts";
import type { KernelContract, PartialKernelFunc } from "../src/tensors/index.ts";

const name = "MrcnnTestPower";
// The composition squares; the kernel cubes, to tell which one ran.
const gradient: GradConfig = {
  kernelName: name,
  inputsToSave: ["x"],
  gradFunc: (dy, [x]) => ({ x: () => mul(mul(dy as Tensor, 3), square(x!)) }),
};
const cube: PartialKernelFunc = ({ inputs }) => mul(inputs["x"] as Tensor, square(inputs["x"] as Tensor));
const kernel = (kernelFunc: PartialKernelFunc = cube, backendName: string = getBackend()): KernelConfig => ({
  kernelName: name,
  backendName,
  kernelFunc,
});
const contract: KernelContract<{ exact: boolean }> = { name, attributes: ["exact"], gradient };
const power = (x: Tensor, attrs: Partial<{ exact: boolean }> = {}): Tensor =>
  runKernelOr(contract, { x }, attrs as { exact: boolean }, () => square(x));

afterEach(() => {
  if (getKernel(name, getBackend()) !== undefined) unregisterKernel(name, getBackend());
  if (getGradient(name) !== undefined) unregisterGradient(name);
});

test("without a kernel the composition runs, and its gradient", async () => {
  const x = tensor1d([1, 2, 3]);
  const [y, dx] = [power(x), grad((x) => power(x))(x)];
  await expectClose(y, [1, 4, 9]);
  await expectClose(dx, [2, 4, 6]);
  await expectNoLeaks(() => power(x));
  dispose([x, y, dx]);
});

test("with one the kernel runs, and the registered gradient", async () => {
  registerKernels([kernel()], [gradient]);
  const x = tensor1d([1, 2, 3]);
  const [y, dx] = [power(x), grad((x) => power(x))(x)];
  await expectClose(y, [1, 8, 27]);
  await expectClose(dx, [3, 12, 27]);
  dispose([x, y, dx]);
});

test("a kernel of another backend does not count", async () => {
  registerKernels([kernel(cube, "elsewhere")]);
  const x = tensor1d([1, 2, 3]);
  const y = power(x);
  await expectClose(y, [1, 4, 9]);
  expect(hasKernel(contract, {})).toBe(false);
  unregisterKernel(name, "elsewhere");
  dispose([x, y]);
});

test("a partial kernel is asked with the attributes", async () => {
  const partial: PartialKernelFunc = Object.assign((args: Parameters<PartialKernelFunc>[0]) => cube(args), {
    supports: (attrs: object) => (attrs as { exact: boolean }).exact,
  });
  registerKernels([kernel(partial)], [gradient]);
  expect(hasKernel(contract, { exact: true })).toBe(true);
  expect(hasKernel(contract, { exact: false })).toBe(false);
  const x = tensor1d([2]);
  const [exact, other] = [power(x, { exact: true }), power(x, { exact: false })];
  await expectClose(exact, [8]);
  await expectClose(other, [4]);
  dispose([x, exact, other]);
});

test("an attribute that the contract does not list is refused, with a kernel and without", () => {
  const message = `${name}: mode is not among the kernel's attributes (exact). List it in the contract, and teach the kernels.`;
  const invented = { exact: true, mode: "max" };
  const x = tensor1d([2]);
  for (const register of [() => {}, () => registerKernels([kernel()], [gradient])]) {
    register();
    expect(() => hasKernel(contract, invented)).toThrow(message);
    expect(() => runKernel(contract, { x }, invented)).toThrow(message);
    expect(() => power(x, invented)).toThrow(expect.objectContaining({ code: "config", message }));
  }
  x.dispose();
});

test("runKernel gives what the kernel gives, and undefined without one", async () => {
  const x = tensor1d([2]);
  expect(runKernel(contract, { x }, { exact: true })).toBeUndefined();
  registerKernels([kernel()], [gradient]);
  const y = runKernel<Tensor, { exact: boolean }>(contract, { x }, { exact: true })!;
  await expectClose(y, [8]);
  dispose([x, y]);
});

test("registering again changes nothing; another kernel of the name is refused", () => {
  registerKernels([kernel()], [gradient]);
  registerKernels([kernel()], [{ ...gradient }]);
  expect(getGradient(name)).toBe(gradient);
  const other: PartialKernelFunc = (args) => cube(args);
  expect(() => registerKernels([kernel(other)])).toThrow(
    /MrcnnTestPower on backend .* is already registered.*npm ls @mrcnn\/core/,
  );
  expect(() => registerKernels([kernel(other)])).toThrow(expect.objectContaining({ code: "backend" }));
  expect(getKernel(name, getBackend()).kernelFunc).toBe(cube);
});
