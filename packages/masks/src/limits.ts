/** Limits on the size of annotations, which bound memory and work. */

/** Largest number of pixels of an image, where Pillow stops too; an option can change it. */
export const MAX_PIXELS = 178_956_970;

/** Most bytes that the masks of one image take per pixel of the largest image allowed. */
export const MASK_BYTES_PER_PIXEL = 3;

/** Largest side of an image, and bound on the absolute value of coordinates. */
export const MAX_SIDE = 1e6;
