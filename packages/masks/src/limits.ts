/** How much annotations may ask for. */

/** Images of more pixels are refused unless an option says otherwise: where Pillow stops too. */
export const MAX_PIXELS = 178_956_970;

/** The masks of one image take so many bytes for each pixel of the largest image that is allowed, or fewer. */
export const MASK_BYTES_PER_PIXEL = 3;

/** Neither side of an image is longer, and no coordinate is farther away. */
export const MAX_SIDE = 1e6;
