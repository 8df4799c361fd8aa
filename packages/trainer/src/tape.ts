/**
 * A gradient tape that stays open across an await and frees memory during the backward pass.
 *
 * `tf.variableGrads` requires a synchronous function, but a two-stage detector selects its proposals on the
 * host in the middle of the forward pass. The engine's own parts allow more: the tape is opened by hand, the
 * forward pass may await, and the backward pass runs over the finished tape. TensorFlow.js's own backward
 * pass keeps every activation and every gradient until its end; this one frees what no earlier node needs.
 * The members used are private to TensorFlow.js, and only this file knows them.
 */
import { add, clone, dispose, engine, scalar, tensor_util, tidy } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, TensorContainer, Variable } from "@tensorflow/tfjs-core";
import { BackendError } from "@mrcnn/core";

interface TapeNode {
  readonly kernelName: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: readonly Tensor[];
  readonly saved: readonly Tensor[];
  /** Gradients by input name; `null` stands for an output that the loss does not depend on. */
  readonly gradient?: (dys: readonly (Tensor | null)[]) => Readonly<Record<string, () => Tensor>>;
}
interface PrivateEngine {
  readonly state: { activeTape: TapeNode[] | null; gradientDepth: number };
  startScope(name: string): void;
  endScope(): void;
  startTape(): void;
  endTape(): void;
  keep<T extends Tensor>(tensor: T): T;
}
const privateEngine = (): PrivateEngine => engine() as unknown as PrivateEngine;

/** Finds the nodes on a path from one of `xs` to `loss`, with the names of their inputs on that path. */
function nodesBetween(
  tape: readonly TapeNode[],
  xs: readonly Variable[],
  loss: Tensor,
): Map<TapeNode, string[]> {
  const fromXs = new Set(xs.map(({ id }) => id));
  const reached = tape.map(({ inputs, outputs }) => {
    const names = Object.keys(inputs).filter((name) => fromXs.has(inputs[name]!.id));
    if (names.length > 0) for (const { id } of outputs) fromXs.add(id);
    return names;
  });
  const toLoss = new Set([loss.id]);
  const found = new Map<TapeNode, string[]>();
  for (let i = tape.length - 1; i >= 0; i--) {
    const node = tape[i]!;
    if (!node.outputs.some(({ id }) => toLoss.has(id))) continue;
    for (const { id } of Object.values(node.inputs)) toLoss.add(id);
    if (reached[i]!.length > 0) found.set(node, reached[i]!);
  }
  return found;
}

// Returns the gradients of a node's inputs, in the order of `names`, as new tensors.
function inputGradients(node: TapeNode, names: readonly string[], dys: readonly (Tensor | null)[]): Tensor[] {
  const { kernelName, gradient } = node;
  if (gradient === undefined) {
    throw new BackendError(
      `gradients: TensorFlow.js has no gradient for ${kernelName}. Import "@tensorflow/tfjs" once, which registers them all.`,
    );
  }
  return tidy(() => {
    const byName = gradient(dys);
    return names.map((name) => {
      const dx = tidy(() => {
        if (byName[name] === undefined)
          throw new BackendError(`gradients: ${kernelName} has no gradient for its input ${name}.`);
        return byName[name]();
      });
      return dys.includes(dx) ? clone(dx) : dx;
    });
  });
}

/**
 * Returns the gradients of `loss` by tensor id. During the pass it disposes every node's saved tensors and
 * outputs, except those in `spared`, and all intermediate gradients.
 */
function backward(
  tape: readonly TapeNode[],
  loss: Tensor,
  xs: readonly Variable[],
  spared: ReadonlySet<number>,
): Map<number, Tensor> {
  const path = nodesBetween(tape, xs, loss);
  const gradients = new Map<number, Tensor>([[loss.id, scalar(1)]]);
  for (let i = tape.length - 1; i >= 0; i--) {
    const node = tape[i]!;
    const names = path.get(node);
    if (names !== undefined) {
      const dys = node.outputs.map(({ id }) => gradients.get(id) ?? null);
      for (const [k, dx] of inputGradients(node, names, dys).entries()) {
        const { id } = node.inputs[names[k]!]!;
        const sofar = gradients.get(id);
        gradients.set(id, sofar === undefined ? dx : add(sofar, dx));
        if (sofar !== undefined) dispose([sofar, dx]);
      }
    }
    for (const { id } of node.outputs) {
      gradients.get(id)?.dispose();
      gradients.delete(id);
    }
    free(node, spared);
  }
  return gradients;
}

// No earlier node uses the outputs of this one. Disposing a tensor twice is harmless.
function free({ saved, outputs }: TapeNode, spared: ReadonlySet<number>): void {
  dispose([...saved]);
  for (const tensor of outputs) if (!tensor.kept && !spared.has(tensor.id)) tensor.dispose();
}

/** What `onTape` passes to `use` after the forward pass. */
export interface OpenTape<T> {
  /** The result of `forward`; lives until `use` is done. */
  readonly result: T;
  /**
   * Returns the gradients of `loss` with respect to `xs`, in their order; undefined where `loss` does not
   * depend on one. Closes the tape and disposes the tensors on it, except `result`; the caller disposes the
   * gradients.
   */
  gradients(loss: Scalar, xs: readonly Variable[]): (Tensor | undefined)[];
}

/**
 * Runs `forward` with the tape open, then `use` with its result. Every tensor made in between is disposed at
 * the end, except those that `gradients` returned.
 *
 * @throws BackendError when a tape is already open: the engine has only one, so steps must not overlap.
 */
export async function onTape<T, R>(
  forward: () => Promise<T>,
  use: (tape: OpenTape<T>) => Promise<R>,
): Promise<R> {
  const tf = privateEngine();
  if (tf.state.gradientDepth > 0) {
    throw new BackendError(
      "onTape: a training step is still open, and TensorFlow.js has one tape. Await the step before starting another.",
    );
  }
  tf.startScope("step");
  tf.startTape();
  const tape = tf.state.activeTape!;
  let open = true;
  const close = (): void => {
    if (open) tf.endTape();
    open = false;
  };
  try {
    const result = await forward();
    return await use({
      result,
      gradients(loss, xs) {
        // Closed first, so that the backward pass is not itself recorded.
        close();
        const spared = new Set(
          [...tensor_util.getTensorsInContainer(result as TensorContainer), loss].map(({ id }) => id),
        );
        const gradients = backward(tape, loss, xs, spared);
        return xs
          .map(({ id }) => gradients.get(id))
          .map((grad) => (grad === undefined ? grad : tf.keep(grad)));
      },
    });
  } finally {
    close();
    for (const { saved } of tape) dispose([...saved]);
    tf.state.activeTape = null;
    tf.endScope();
  }
}
