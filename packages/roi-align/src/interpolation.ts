/** Sample positions and bilinear weights of RoIAlign along one axis, as torchvision. */

const f = Math.fround;

/** Where RoIAlign places its samples along one axis. */
export interface SampleOptions {
  /** Pixels of the feature map per pixel of the image. */
  readonly spatialScale: number;
  /** Samples per bin and axis; 0 means ceil(extent of the RoI / bins). */
  readonly samplingRatio: number;
  /** Whether pixel centres lie at half integers (and RoIs may be thinner than one cell). */
  readonly aligned: boolean;
}

/**
 * The cells that each bin of one axis reads, as compressed rows: bin b owns entries starts[b] to
 * starts[b + 1] - 1.
 */
export interface AxisTaps {
  readonly starts: Int32Array;
  readonly cells: Int32Array;
  readonly weights: Float64Array;
}

/**
 * Returns the bilinear weights of every bin of one axis, averaged over the bin's samples, with one entry per
 * cell. RoIAlign is separable, so a bin's value is the sum over its y taps and x taps of
 * `weightY * weightX * feature`. Positions are rounded to float32 where torchvision's are; samples below -1
 * or above `size` have no weight.
 */
export function axisTaps(
  low: number,
  high: number,
  bins: number,
  size: number,
  options: SampleOptions,
): AxisTaps {
  const { aligned, samplingRatio } = options;
  const scale = f(options.spatialScale);
  const offset = aligned ? 0.5 : 0;
  const begin = f(f(low * scale) - offset);
  const length = f(f(f(high * scale) - offset) - begin);
  const extent = aligned ? length : Math.max(length, 1);
  const bin = f(extent / bins);
  const samples = samplingRatio > 0 ? samplingRatio : Math.max(Math.ceil(bin), 0);

  const starts = new Int32Array(bins + 1);
  const cells = new Int32Array(bins * Math.min(2 * samples, size));
  const weights = new Float64Array(cells.length);
  let end = 0;
  for (let b = 0; b < bins; b++) {
    const first = end;
    const add = (cell: number, weight: number): void => {
      if (weight === 0) return;
      let at = end - 1;
      while (at >= first && cells[at] !== cell) at--;
      if (at < first) {
        at = end++;
        cells[at] = cell;
      }
      weights[at]! += weight / samples;
    };
    const binBegin = f(begin + f(b * bin));
    for (let s = 0; s < samples; s++) {
      const position = f(binBegin + f(f((s + 0.5) * bin) / samples));
      if (!(position >= -1 && position <= size)) continue;
      const inside = Math.max(position, 0);
      const cell = Math.floor(inside);
      if (cell >= size - 1) add(size - 1, 1);
      else {
        add(cell, 1 - (inside - cell));
        add(cell + 1, inside - cell);
      }
    }
    starts[b + 1] = end;
  }
  return { starts, cells, weights };
}
