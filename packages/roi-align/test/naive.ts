/** RoIAlign as its definition reads: one bilinear sample at a time, in float64. */
export interface NaiveOptions {
  readonly outputSize: readonly [number, number];
  readonly spatialScale: number;
  readonly samplingRatio: number;
  readonly aligned: boolean;
}
export type Shape4D = readonly [number, number, number, number];

// Calls `visit(output index, feature index, weight)` for every contribution.
function contributions(
  [, height, width, channels]: Shape4D,
  boxes: Float32Array,
  imageIndex: Int32Array,
  { outputSize, spatialScale, samplingRatio, aligned }: NaiveOptions,
  visit: (output: number, feature: number, weight: number) => void,
): void {
  const [outputHeight, outputWidth] = outputSize;
  const offset = aligned ? 0.5 : 0;
  for (let r = 0; r < imageIndex.length; r++) {
    const [x1, y1, x2, y2] = [0, 1, 2, 3].map((i) => boxes[r * 4 + i]! * spatialScale - offset) as [
      number,
      number,
      number,
      number,
    ];
    const roiWidth = aligned ? x2 - x1 : Math.max(x2 - x1, 1);
    const roiHeight = aligned ? y2 - y1 : Math.max(y2 - y1, 1);
    const binHeight = roiHeight / outputHeight;
    const binWidth = roiWidth / outputWidth;
    const rows = samplingRatio || Math.ceil(binHeight);
    const columns = samplingRatio || Math.ceil(binWidth);
    for (let h = 0; h < outputHeight; h++) {
      for (let w = 0; w < outputWidth; w++) {
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            let y = y1 + h * binHeight + ((i + 0.5) * binHeight) / rows;
            let x = x1 + w * binWidth + ((j + 0.5) * binWidth) / columns;
            if (y < -1 || y > height || x < -1 || x > width) continue;
            y = Math.min(Math.max(y, 0), height - 1);
            x = Math.min(Math.max(x, 0), width - 1);
            const [top, left] = [Math.floor(y), Math.floor(x)];
            for (const [row, wy] of [
              [top, 1 - (y - top)],
              [Math.min(top + 1, height - 1), y - top],
            ] as const) {
              for (const [column, wx] of [
                [left, 1 - (x - left)],
                [Math.min(left + 1, width - 1), x - left],
              ] as const) {
                for (let c = 0; c < channels; c++) {
                  visit(
                    ((r * outputHeight + h) * outputWidth + w) * channels + c,
                    ((imageIndex[r]! * height + row) * width + column) * channels + c,
                    (wy * wx) / (rows * columns),
                  );
                }
              }
            }
          }
        }
      }
    }
  }
}

export function naiveRoiAlign(
  features: Float32Array,
  shape: Shape4D,
  boxes: Float32Array,
  imageIndex: Int32Array,
  options: NaiveOptions,
): Float64Array {
  const out = new Float64Array(imageIndex.length * options.outputSize[0] * options.outputSize[1] * shape[3]);
  contributions(shape, boxes, imageIndex, options, (o, i, weight) => {
    out[o]! += weight * features[i]!;
  });
  return out;
}

export function naiveRoiAlignGrad(
  dy: Float32Array,
  shape: Shape4D,
  boxes: Float32Array,
  imageIndex: Int32Array,
  options: NaiveOptions,
): Float64Array {
  const dx = new Float64Array(shape.reduce((a, b) => a * b));
  contributions(shape, boxes, imageIndex, options, (o, i, weight) => {
    dx[i]! += weight * dy[o]!;
  });
  return dx;
}
