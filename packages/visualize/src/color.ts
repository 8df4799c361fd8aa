/** The colours of instances. */

/** Red, green and blue, 0 to 255. */
export type Color = readonly [red: number, green: number, blue: number];

// Rotating the hue by the golden ratio keeps the first colours far apart, however many there are.
const GOLDEN = 0.618033988749895;

/**
 * Returns the colour of instance `index`: neighbours in the list differ strongly, and lightness alternates.
 */
export function instanceColor(index: number): Color {
  const hue = (0.58 + index * GOLDEN) % 1;
  return fromHsl(hue, 0.82, [0.56, 0.64, 0.5][index % 3]!);
}

function fromHsl(hue: number, saturation: number, lightness: number): Color {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n: number): number => {
    const k = (n + hue * 12) % 12;
    return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

export const shade = ([r, g, b]: Color, factor: number): Color => [r * factor, g * factor, b * factor];

/** Returns black or white, whichever is easier to read on `color`. */
export function inkOn([r, g, b]: Color): Color {
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? [0, 0, 0] : [255, 255, 255];
}
