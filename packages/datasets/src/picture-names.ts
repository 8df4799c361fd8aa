/** Recognition of pictures by the endings of file names, used by everything that lists folders. */

/** Endings of the pictures that `readImageFile` reads, in lower case. */
export const PICTURE_ENDINGS: readonly string[] = [
  "png",
  "jpg",
  "jpeg",
  "jpe",
  "jfif",
  "webp",
  "avif",
  "gif",
  "tif",
  "tiff",
];

/** Endings of pictures that can't be read: these are reported rather than skipped. */
const FOREIGN_ENDINGS: readonly string[] = [
  ..."bmp dib heic heif hif jp2 j2k jpx jxl svg svgz psd ico pbm pgm ppm pnm tga exr hdr dcm".split(" "),
  ..."dng cr2 cr3 nef arw orf rw2 raf raw svs ndpi czi lif nd2".split(" "),
];

const ending = (name: string): string | undefined =>
  /(?:^|[/\\])[^./\\][^/\\]*\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase();

/**
 * Tells whether a file name is that of a picture that can be read. Names that begin with a dot are not
 * (`._photo.jpg` is macOS's).
 */
export const isPictureName = (name: string): boolean => PICTURE_ENDINGS.includes(ending(name) ?? "");

/**
 * Tells whether a file name is that of a picture of a kind that can't be read here, such as BMP, HEIC or a
 * camera's raw file.
 */
export const isForeignPictureName = (name: string): boolean => FOREIGN_ENDINGS.includes(ending(name) ?? "");
