/** A pool of GPU buffers with a memory limit. */

/// <reference types="@webgpu/types" />
import { BackendError } from "@mrcnn/core";

// Sizes are rounded up to eighths of a power of two, so that images of many sizes share buffers.
const SMALLEST = 256;
function roundUp(size: number): number {
  if (size <= SMALLEST) return SMALLEST;
  const step = 2 ** (Math.ceil(Math.log2(size)) - 3);
  return Math.ceil(size / step) * step;
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MB`;

/**
 * A pool of a device's buffers; it replaces TensorFlow.js's BufferManager, whose methods it has. The latter
 * keeps every buffer for ever, and reuses it only for tensors of exactly its size. This one holds at most
 * `limit` bytes: before it exceeds that, it destroys the least recently used free buffers.
 */
export class Buffers {
  numBytesUsed = 0;
  numBytesAllocated = 0;
  /** Maximum number of bytes held so far. */
  peakBytes = 0;
  // By size and usage, least recently used first, as maps keep the order of insertion.
  private readonly free = new Map<GPUBuffer, string>();
  private readonly byKey = new Map<string, GPUBuffer[]>();
  private readonly used = new Set<GPUBuffer>();
  private readonly device: GPUDevice;
  private readonly limit: number;

  constructor(device: GPUDevice, limit: number) {
    this.device = device;
    this.limit = limit;
  }

  /**
   * Returns a buffer of at least `size` bytes.
   *
   * @throws BackendError when the device does not support buffers of that size, or `limit` is reached.
   */
  acquireBuffer(size: number, usage: GPUBufferUsageFlags, mappedAtCreation = false, reuse = true): GPUBuffer {
    const rounded = Math.min(roundUp(size), Math.max(this.device.limits.maxBufferSize, size));
    const key = `${rounded} ${usage}`;
    const kept = reuse ? this.byKey.get(key)?.pop() : undefined;
    if (kept !== undefined) this.free.delete(kept);
    const buffer = kept ?? this.create(size, rounded, usage, mappedAtCreation);
    this.used.add(buffer);
    this.numBytesUsed += rounded;
    return buffer;
  }

  releaseBuffer(buffer: GPUBuffer, reuse = true): void {
    // Already disposed, or another manager's.
    if (!this.used.delete(buffer)) return;
    this.numBytesUsed -= buffer.size;
    if (!reuse) return this.destroy(buffer);
    const key = `${buffer.size} ${buffer.usage}`;
    this.free.set(buffer, key);
    const same = this.byKey.get(key);
    if (same === undefined) this.byKey.set(key, [buffer]);
    else same.push(buffer);
  }

  getNumUsedBuffers(): number {
    return this.used.size;
  }

  getNumFreeBuffers(): number {
    return this.free.size;
  }

  dispose(): void {
    for (const buffer of [...this.free.keys(), ...this.used]) this.destroy(buffer);
    this.free.clear();
    this.byKey.clear();
    this.used.clear();
    this.numBytesUsed = 0;
  }

  private create(
    size: number,
    rounded: number,
    usage: GPUBufferUsageFlags,
    mappedAtCreation: boolean,
  ): GPUBuffer {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const most =
      (usage & GPUBufferUsage.STORAGE) === 0 ?
        maxBufferSize
      : Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (size > most) {
      throw new BackendError(
        `webgpu: a tensor of ${megabytes(size)} is larger than this GPU's largest buffer of ${megabytes(most)}. ` +
          "Use smaller images (image.minSize and image.maxSize, or --min-size), a smaller batch (training.batchSize) or fewer proposals (rpn.detection.postNmsTopK).",
      );
    }
    const bytes = Math.min(rounded, most);
    for (const [oldest] of this.free) {
      if (this.numBytesAllocated + bytes <= this.limit) break;
      this.forget(oldest);
    }
    if (this.numBytesAllocated + bytes > this.limit) {
      throw new BackendError(
        `webgpu: ${megabytes(this.numBytesAllocated + bytes)} of GPU memory are needed, and the limit is ${megabytes(this.limit)}. ` +
          "Use smaller images (image.minSize, or --min-size) or a smaller batch (training.batchSize, with training.accumulate to make up for it), or raise memoryLimitMb (--memory-limit) if the GPU has more.",
      );
    }
    const buffer = this.device.createBuffer({ size: bytes, usage, mappedAtCreation });
    this.numBytesAllocated += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.numBytesAllocated);
    return buffer;
  }

  private forget(buffer: GPUBuffer): void {
    const key = this.free.get(buffer)!;
    this.free.delete(buffer);
    const same = this.byKey.get(key)!;
    same.splice(same.indexOf(buffer), 1);
    this.destroy(buffer);
  }

  private destroy(buffer: GPUBuffer): void {
    buffer.destroy();
    this.numBytesAllocated -= buffer.size;
  }
}
