/** A subclass of TensorFlow.js's WebGPU backend, with all uses of that backend's private members. */

/// <reference types="@webgpu/types" />
import { env, util } from "@tensorflow/tfjs-core";
import type { BackendValues, TensorInfo } from "@tensorflow/tfjs-core";
import { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import { BackendError } from "@mrcnn/core";
import { Buffers } from "./buffers.ts";

type DataId = TensorInfo["dataId"];

// Members that TensorFlow.js declares private.
interface Internals {
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  commandQueueOwnedIds: WeakSet<object>;
  dispatchCountInPass: number;
  uniformPendingDisposal: GPUBuffer[];
  activeTimers: { name: string; query: Promise<number> }[] | null;
  getQueryTime(): Promise<number>;
  querySet: GPUQuerySet | null;
  querySetCount: number;
  supportTimestampQuery: boolean;
  recordAndSubmit(program: unknown, ...rest: unknown[]): void;
  pipelineCache: Record<string, GPUComputePipeline | Promise<GPUComputePipeline>>;
}

/** Counts of work and transfers between host and device, since `resetTraffic`. */
export interface Traffic {
  /** Number of compute dispatches. */
  readonly dispatches: number;
  /** Number of times that the host read a tensor; each is a wait for the device. */
  readonly readbacks: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Number of submissions to the queue. */
  readonly submits: number;
}

/** A compiled compute shader, and its arguments. */
export interface Dispatch {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  /** Tensors in the order of the bindings; those without a buffer get one. */
  readonly tensors: readonly TensorInfo[];
  /** Content of the uniform buffer, the last binding. */
  readonly uniform: ArrayBuffer | undefined;
  readonly workgroups: readonly [number, number, number];
}

const nothing: Traffic = { dispatches: 0, readbacks: 0, bytesRead: 0, bytesWritten: 0, submits: 0 };

/**
 * TensorFlow.js's WebGPU backend with a memory limit, uploads without staging buffers, counts of transfers,
 * and errors where the device was lost or could not execute a command: reading then fails instead of
 * returning zeros.
 */
export class MrcnnWebgpuBackend extends WebGPUBackend {
  /** Compiled shaders by their key. */
  readonly pipelines: Map<string, GPUComputePipeline> = new Map();
  /**
   * Shaders being compiled, during the simulation of `compileAhead`. Kernels must then not store any results,
   * for nothing is computed.
   */
  ahead: Map<string, Promise<GPUComputePipeline>> | undefined;
  private moved: { -readonly [key in keyof Traffic]: Traffic[key] } = { ...nothing };
  private problem: BackendError | undefined;
  private lost = false;

  /** Precision of the factors of products that have no gradient. */
  readonly precision: "float32" | "float16";
  /** Whether the adapter is a software one, which takes seconds to compile a large shader. */
  readonly isSoftware: boolean;
  // Tensors derived from others, by name; they live as long as their sources.
  private readonly derived = new Map<DataId, Map<string, TensorInfo>>();

  constructor(
    device: GPUDevice,
    info: GPUAdapterInfo | undefined,
    {
      memoryLimit,
      precision,
      isSoftware,
    }: { memoryLimit: number; precision: "float32" | "float16"; isSoftware: boolean },
  ) {
    super(device, info);
    this.precision = precision;
    this.isSoftware = isSoftware;
    this.bufferManager = new Buffers(device, memoryLimit) as unknown as WebGPUBackend["bufferManager"];
    const { recordAndSubmit } = this.internals;
    this.internals.recordAndSubmit = (...args) => {
      this.moved.dispatches++;
      recordAndSubmit.apply(this, args);
    };
    void device.lost.then(({ message }) => {
      this.lost = true;
      this.problem = new BackendError(
        `webgpu: the GPU device was lost (${message.trim() || "no reason given"}). Load the model again; resume a training from its checkpoint with --resume. ` +
          "If it happens again, use smaller images or a smaller batch, or look at the driver.",
      );
    });
    device.addEventListener("uncapturederror", (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      event.preventDefault();
      const outOfMemory = typeof GPUOutOfMemoryError !== "undefined" && error instanceof GPUOutOfMemoryError;
      this.problem ??= new BackendError(
        outOfMemory ?
          "webgpu: the GPU is out of memory. Use smaller images (image.minSize, or --min-size) or a smaller batch (training.batchSize)."
        : `webgpu: the GPU refused a command (${error.message.split("\n")[0]}).`,
        { cause: error },
      );
    });
  }

  private get internals(): Internals {
    return this as unknown as Internals;
  }

  /** Counts since the last `resetTraffic`. */
  get traffic(): Traffic {
    return { ...this.moved };
  }

  resetTraffic(): void {
    this.moved = { ...nothing };
  }

  /** Maximum size in bytes of all buffers at any time. */
  get peakBytes(): number {
    return (this.bufferManager as unknown as Buffers).peakBytes;
  }

  /** Whether the device is lost, and all tensors with it: `startWebgpu` starts a new one. */
  get isLost(): boolean {
    return this.lost;
  }

  /**
   * Throws the device's last problem, if any.
   *
   * @throws BackendError when the device was lost, or refused a command since the last call.
   */
  check(): void {
    const { problem } = this;
    if (!this.lost) this.problem = undefined;
    if (problem !== undefined) throw problem;
  }

  /**
   * Compiles the shaders that `work` would run, many at a time, so that the first real run does not wait for
   * each in turn. `work` receives the function `pretend`: computations within it are only simulated, and must
   * not read results. Others may use the device meanwhile.
   *
   * @throws what `work` throws; BackendError when a shader does not compile.
   */
  async compileAhead(work: (pretend: <T>(compute: () => T) => T) => Promise<void>): Promise<void> {
    const own = this.internals;
    const known = own.pipelineCache;
    const theirs: Internals["pipelineCache"] = Object.create(known);
    const ahead = new Map<string, Promise<GPUComputePipeline>>();
    await work((compute) => {
      own.pipelineCache = theirs;
      this.ahead = ahead;
      env().set("WEBGPU_ENGINE_COMPILE_ONLY", true);
      try {
        return compute();
      } finally {
        env().set("WEBGPU_ENGINE_COMPILE_ONLY", false);
        this.ahead = undefined;
        own.pipelineCache = known;
      }
    });
    try {
      for (const [key, pipeline] of Object.entries(theirs)) known[key] ??= await pipeline;
      for (const [key, pipeline] of ahead)
        if (!this.pipelines.has(key)) this.pipelines.set(key, await pipeline);
    } catch (cause) {
      throw new BackendError(
        `webgpu: a shader does not compile (${(cause as Error).message.split("\n")[0]}). Update the browser or the driver, or use backend "wasm".`,
        { cause },
      );
    }
  }

  /**
   * Returns the result of `make`, derived from a tensor's values under this name; it is made again only for
   * another tensor. Not to be disposed.
   */
  derive(of: TensorInfo, name: string, make: () => TensorInfo): TensorInfo {
    if (this.ahead !== undefined) {
      const empty = make();
      super.disposeData(empty.dataId);
      return empty;
    }
    let all = this.derived.get(of.dataId);
    if (all === undefined) this.derived.set(of.dataId, (all = new Map()));
    let made = all.get(name);
    if (made === undefined) all.set(name, (made = make()));
    return made;
  }

  override disposeData(dataId: DataId, force?: boolean): boolean {
    const isGone = super.disposeData(dataId, force);
    const all = isGone ? this.derived.get(dataId) : undefined;
    if (all === undefined) return isGone;
    this.derived.delete(dataId);
    for (const made of all.values()) super.disposeData(made.dataId);
    return isGone;
  }

  override submitQueue(): void {
    this.moved.submits++;
    super.submitQueue();
  }

  override uploadToGPU(dataId: DataId): void {
    const data = this.tensorMap.get(dataId);
    if (data.resource != null) return;
    const bytes = 4 * util.sizeFromShape(data.shape);
    const buffer = this.bufferManager.acquireBuffer(
      bytes,
      GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    );
    data.resource = buffer;
    if (data.values == null) return;
    const values = data.values as Float32Array | Int32Array | Uint8Array;
    const whole = data.dtype === "float32" ? Float32Array : Int32Array;
    const source = values instanceof whole ? values : whole.from(values);
    // No command in the open encoder uses a free buffer, so the queue's order is the right one.
    this.queue.writeBuffer(buffer, 0, source.buffer as ArrayBuffer, source.byteOffset, bytes);
    this.moved.bytesWritten += bytes;
    (data as { values: BackendValues | null }).values = null;
  }

  override async read(dataId: DataId): Promise<BackendValues> {
    if (!this.tensorMap.has(dataId)) return super.read(dataId);
    const data = this.tensorMap.get(dataId);
    if (data.values != null || data.dtype === "complex64") return super.read(dataId);
    this.check();
    const bytes = 4 * util.sizeFromShape(data.shape);
    // Empty tensors were never on the device.
    if (bytes === 0)
      return (
        data.dtype === "float32" ? new Float32Array()
        : data.dtype === "bool" ? new Uint8Array()
        : new Int32Array()
      );
    const staging = this.bufferManager.acquireBuffer(
      bytes,
      GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
    );
    this.ensureCommandEncoderReady();
    this.endComputePassEncoder();
    this.internals.commandEncoder!.copyBufferToBuffer(data.resource as GPUBuffer, 0, staging, 0, bytes);
    this.submitQueue();
    this.moved.readbacks++;
    this.moved.bytesRead += bytes;
    try {
      await staging.mapAsync(GPUMapMode.READ, 0, bytes);
    } catch (cause) {
      // A loss or refusal is reported by an event that comes first.
      await Promise.resolve();
      this.check();
      throw new BackendError(
        `webgpu: a tensor can't be read back (${(cause as Error).message}). The GPU device may be lost; load the model again.`,
        { cause },
      );
    }
    const copy = staging.getMappedRange(0, bytes).slice(0);
    staging.unmap();
    this.bufferManager.releaseBuffer(staging);
    this.check();
    const values =
      data.dtype === "float32" ? new Float32Array(copy)
      : data.dtype === "bool" ? Uint8Array.from(new Int32Array(copy))
      : new Int32Array(copy);
    if (this.tensorMap.has(dataId)) data.values = values;
    return values;
  }

  // TensorFlow.js draws the tensor on a canvas and reads its pixels, which are zeros on a lost device.
  // Engines call this for tensors of a backend that is no longer the current one.
  override readSync(dataId: DataId): BackendValues {
    const { values, dtype } = this.tensorMap.get(dataId);
    if (values == null && dtype !== "complex64" && dtype !== "string") {
      this.check();
      throw new BackendError(
        "webgpu: a tensor must be read with `await tensor.data()`, got a synchronous read. If it is of a model that was loaded before the backend changed or started anew, load that model again.",
      );
    }
    return super.readSync(dataId);
  }

  /** Records one dispatch and submits it, as TensorFlow.js does its own. */
  record({ name, pipeline, tensors, uniform, workgroups }: Dispatch): void {
    const own = this.internals;
    const entries: GPUBindGroupEntry[] = tensors.map(({ dataId }, binding) => {
      this.uploadToGPU(dataId);
      own.commandQueueOwnedIds.add(dataId);
      return { binding, resource: { buffer: this.tensorMap.get(dataId).resource as GPUBuffer } };
    });
    if (uniform !== undefined) {
      const buffer = this.bufferManager.acquireBuffer(
        uniform.byteLength,
        GPUBufferUsage.COPY_DST | GPUBufferUsage.UNIFORM,
      );
      this.queue.writeBuffer(buffer, 0, uniform);
      own.uniformPendingDisposal.push(buffer);
      entries.push({ binding: entries.length, resource: { buffer, size: uniform.byteLength } });
    }
    const bindGroup = this.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const isTimed = own.activeTimers !== null && own.activeTimers !== undefined;
    this.ensureCommandEncoderReady();
    if (isTimed && own.supportTimestampQuery) {
      this.endComputePassEncoder();
      own.querySet ??= this.device.createQuerySet({ type: "timestamp", count: own.querySetCount });
      own.computePassEncoder = own.commandEncoder!.beginComputePass({
        timestampWrites: { querySet: own.querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
      } as GPUComputePassDescriptor);
    } else {
      own.computePassEncoder ??= own.commandEncoder!.beginComputePass();
    }
    const pass = own.computePassEncoder!;
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...workgroups);
    this.moved.dispatches++;
    own.dispatchCountInPass++;
    if (isTimed) {
      this.endComputePassEncoder();
      own.activeTimers!.push({ name, query: own.getQueryTime() });
    } else if (own.dispatchCountInPass >= (env().get("WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE") as number)) {
      this.endComputePassEncoder();
      this.submitQueue();
    }
  }
}
