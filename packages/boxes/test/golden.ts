/** What golden/boxes.json holds. */
export interface Golden {
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly area: readonly number[];
  readonly iou: readonly number[];
  readonly reference: readonly number[];
  readonly deltas: readonly number[];
  readonly coder: readonly {
    readonly weights: readonly [number, number, number, number];
    readonly encoded: readonly number[];
    readonly decoded: readonly number[];
  }[];
  readonly wide: readonly number[];
  readonly clipped: readonly number[];
  readonly small: readonly number[];
  readonly kept: readonly { readonly minSize: number; readonly indices: readonly number[] }[];
  readonly xywh: readonly number[];
}
