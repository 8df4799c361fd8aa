/** Work on many files, a few at a time. */

const AT_ONCE = 4;

/**
 * What `work` gives for each item, in their order; several are worked on at a time. `onImage` is told how many are done.
 * `signal` ends it early, with what was done until then.
 *
 * @throws the error of the first item, in their order, that has one; no further items are begun then.
 */
export async function inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>, { onImage, signal }: { readonly onImage?: ((done: number) => void) | undefined; readonly signal?: AbortSignal | undefined } = {}): Promise<R[]> {
  const results: R[] = [];
  const errors: unknown[] = [];
  let [next, done] = [0, 0];
  const worker = async (): Promise<void> => {
    while (next < items.length && errors.length === 0 && signal?.aborted !== true) {
      const i = next++;
      try {
        results[i] = await work(items[i]!);
      } catch (error) {
        errors[i] = error;
      }
      onImage?.(++done);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  for (const i in errors) throw errors[i];
  return results.filter(() => true); // without holes
}
