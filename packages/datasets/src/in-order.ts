/** Concurrent work on many files, with the results in the files' order. */

const AT_ONCE = 4;

/**
 * Calls `work` for each item, several at a time, and returns the results in the order of the items. `onImage`
 * receives the number done; `signal` ends it early, with the results so far.
 *
 * @throws the error of the first item, in their order, that has one; after an error no further items are
 * begun.
 */
export async function inOrder<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  {
    onImage,
    signal,
  }: {
    readonly onImage?: ((done: number) => void) | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<R[]> {
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
  // Entries are in ascending order, without the holes of items not done.
  const [failed] = Object.entries(errors);
  if (failed !== undefined) throw failed[1];
  return Object.values(results);
}
