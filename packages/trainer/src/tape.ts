/**
 * A gradient tape that stays open across an await.
 *
 * `tf.variableGrads` wants a synchronous function, but the proposals of a two-stage detector are
 * chosen on the host in the middle of the forward pass. The engine's own pieces allow more: the tape
 * is opened by hand, the forward may await, and the backward runs over the finished tape. These
 * members are private to TensorFlow.js; everything that knows them is in this file.
 */
import { engine, scalar } from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Variable } from "@tensorflow/tfjs-core";
import { BackendError } from "@mrcnn/core";

interface TapeNode {
  readonly saved?: readonly Tensor[];
}
interface PrivateEngine {
  readonly state: { activeTape: TapeNode[] | null; gradientDepth: number };
  startScope(name: string): void;
  endScope(): void;
  startTape(): void;
  endTape(): void;
  gradients(f: () => Tensor, xs: readonly Tensor[], dy: Tensor | null, allowNoGradients: boolean): { grads: (Tensor | undefined)[] };
  keep<T extends Tensor>(tensor: T): T;
}
const privateEngine = (): PrivateEngine => engine() as unknown as PrivateEngine;

/** What `onTape` hands to its caller once the forward pass is done. */
export interface OpenTape<T> {
  /** What `forward` returned; lives until `use` is done. */
  readonly result: T;
  /**
   * Gradients of `loss` with respect to `xs`, in their order; undefined where `loss` does not depend
   * on one. Closes the tape; the caller disposes the gradients.
   */
  gradients(loss: Scalar, xs: readonly Variable[]): (Tensor | undefined)[];
}

/**
 * Runs `forward` with the tape open, then `use` with its result. Every tensor made in between is
 * disposed at the end, except what `gradients` returned.
 *
 * @throws BackendError when a tape is open already: the engine has only one, so steps must not overlap.
 */
export async function onTape<T, R>(forward: () => Promise<T>, use: (tape: OpenTape<T>) => Promise<R>): Promise<R> {
  const tf = privateEngine();
  if (tf.state.gradientDepth > 0) {
    throw new BackendError(
      "onTape: a training step is still open, and TensorFlow.js has one tape. Await the step before starting another.",
    );
  }
  tf.startScope("step");
  tf.startTape();
  let open = true;
  const close = (): TapeNode[] => {
    const tape = tf.state.activeTape ?? [];
    if (open) tf.endTape();
    open = false;
    return tape;
  };
  try {
    const result = await forward();
    return await use({
      result,
      gradients(loss, xs) {
        // With the depth back at 0 the backward pass is not itself recorded; `gradients` starts a
        // fresh tape, which we replace by the recorded one, and frees what its nodes saved.
        const tape = close();
        const one = scalar(1);
        const { grads } = tf.gradients(
          () => {
            tf.state.activeTape = tape;
            return loss;
          },
          xs,
          one,
          true,
        );
        return grads.map((grad) => (grad === undefined ? grad : tf.keep(grad)));
      },
    });
  } finally {
    const tape = close();
    for (const node of tape) for (const tensor of node.saved ?? []) if (!tensor.isDisposed) tensor.dispose();
    tf.state.activeTape = null;
    tf.endScope();
  }
}
