/** Runs compute shaders with named inputs, outputs and parameters. */

/// <reference types="@webgpu/types" />
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { MrcnnWebgpuBackend } from "./backend.ts";

/** A tensor, optionally with another element type in the shader than f32 or i32. */
export type Bound = TensorInfo | { readonly tensor: TensorInfo; readonly as: string };

/** A number in the uniform: u32 unless stated otherwise. */
export type Param = number | { readonly i32: number } | { readonly f32: number };

/**
 * One dispatch of a compute shader. `source` declares neither bindings nor parameters: declarations are
 * generated from the names here, `inputs` as read-only and `outputs` as read-write arrays, `params.name` for
 * each of `params`, and a `const` for each of `constants`. `features` become `enable` lines.
 */
export interface Program {
  /** Name, unique among shaders; with `constants`, types and features it identifies the compiled pipeline. */
  readonly name: string;
  readonly source: string;
  readonly inputs: Readonly<Record<string, Bound>>;
  readonly outputs: Readonly<Record<string, Bound>>;
  readonly params?: Readonly<Record<string, Param>>;
  /** Compile-time constants: each other value is another pipeline. */
  readonly constants?: Readonly<Record<string, number>>;
  readonly features?: readonly ("f16" | "subgroups")[];
  readonly workgroups: readonly [x: number, y?: number, z?: number];
}

const tensorOf = (bound: Bound): TensorInfo => ("as" in bound ? bound.tensor : bound);
const elementOf = (bound: Bound): string =>
  "as" in bound ? bound.as
  : bound.dtype === "float32" ? "f32"
  : "i32";
const typeOf = (param: Param): "u32" | "i32" | "f32" =>
  typeof param === "number" ? "u32"
  : "i32" in param ? "i32"
  : "f32";

function header({ inputs, outputs, params = {}, constants = {}, features = [] }: Program): string {
  const lines = features.map((feature) => `enable ${feature};`);
  let binding = 0;
  for (const [name, bound] of Object.entries(inputs))
    lines.push(`@group(0) @binding(${binding++}) var<storage, read> ${name}: array<${elementOf(bound)}>;`);
  for (const [name, bound] of Object.entries(outputs))
    lines.push(
      `@group(0) @binding(${binding++}) var<storage, read_write> ${name}: array<${elementOf(bound)}>;`,
    );
  const fields = Object.entries(params).map(([name, param]) => `${name}: ${typeOf(param)}`);
  if (fields.length > 0)
    lines.push(
      `struct Params { ${fields.join(", ")} }`,
      `@group(0) @binding(${binding}) var<uniform> params: Params;`,
    );
  for (const [name, value] of Object.entries(constants)) lines.push(`const ${name} = ${value};`);
  return lines.join("\n");
}

function uniformOf(params: Readonly<Record<string, Param>> = {}): ArrayBuffer | undefined {
  const values = Object.values(params);
  if (values.length === 0) return undefined;
  const bytes = new ArrayBuffer(Math.ceil(values.length / 4) * 16);
  const view = new DataView(bytes);
  for (const [i, param] of values.entries()) {
    if (typeof param === "number") view.setUint32(4 * i, param, true);
    else if ("i32" in param) view.setInt32(4 * i, param.i32, true);
    else view.setFloat32(4 * i, param.f32, true);
  }
  return bytes;
}

/**
 * Runs a program; empty dispatches do nothing. Shaders are compiled once for each device; in `compileAhead`
 * they are only compiled.
 */
export function run(backend: MrcnnWebgpuBackend, program: Program): void {
  const [x, y = 1, z = 1] = program.workgroups;
  if (x * y * z === 0) return;
  const head = header(program);
  const key = `${program.name}\n${head}`;
  let pipeline = backend.pipelines.get(key);
  const { device, ahead } = backend;
  if (ahead !== undefined && (pipeline !== undefined || ahead.has(key))) return;
  if (pipeline === undefined) {
    const module = device.createShaderModule({ code: `${head}\n${program.source}`, label: program.name });
    const descriptor: GPUComputePipelineDescriptor = {
      label: program.name,
      layout: "auto",
      compute: { module, entryPoint: "main" },
    };
    if (ahead !== undefined) return void ahead.set(key, device.createComputePipelineAsync(descriptor));
    pipeline = device.createComputePipeline(descriptor);
    backend.pipelines.set(key, pipeline);
  }
  const tensors = [...Object.values(program.inputs), ...Object.values(program.outputs)].map(tensorOf);
  backend.record({
    name: program.name,
    pipeline,
    tensors,
    uniform: uniformOf(program.params),
    workgroups: [x, y, z],
  });
}

/**
 * Arranges `count` workgroups in a grid within the device's limit of each dimension; the index in the shader
 * is `x + y * grid.x`.
 */
export function spread(count: number): [x: number, y: number] {
  const x = Math.min(count, 32768);
  return [x, x === 0 ? 0 : Math.ceil(count / x)];
}
