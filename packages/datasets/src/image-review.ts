/**
 * The review of annotated picture files: missing, unreadable, of another size, or with an EXIF orientation.
 */
import { readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import type { ImageSize } from "@mrcnn/core";
import type { FindingList, Said } from "@mrcnn/masks";
import { readImageFile, readImageHeader, sizeAsRead } from "./image-file.ts";
import type { ImageHeader } from "./image-file.ts";
import { inOrder } from "./in-order.ts";
import { createFindNearby, type NearbyFile } from "./nearby-file.ts";
import { whyNoFile } from "./regular-file.ts";

/** An annotated image whose file is missing. */
export interface MissingImage {
  /** Name in the annotations. */
  readonly name: string;
  /** Path where it was expected. */
  readonly path: string;
  /**
   * A similar file that may be the one meant. It is never used as the image, since two data sets may have
   * pictures of the same name.
   */
  readonly near: NearbyFile | undefined;
}

/**
 * Creates a function that returns the images missing from a folder. Each folder is listed once, and files it
 * lists are taken to exist.
 */
export function missingImageFinder(folder: string): (names: readonly string[]) => MissingImage[] {
  const listings = new Map<string, ReadonlySet<string>>();
  const isListed = (name: string): boolean => {
    const path = normalize(join(folder, name));
    const parent = dirname(path);
    let listing = listings.get(parent);
    if (listing === undefined) listings.set(parent, (listing = listFiles(parent)));
    return listing.has(path);
  };
  const findNearby = createFindNearby({ elsewhere: true });
  return (names) =>
    names
      .filter((name) => !isListed(name))
      .map((name) => ({ name, path: join(folder, name) }))
      // Links, and names on a case-insensitive file system, are not missing.
      .filter(({ path }) => whyNoFile(path)?.startsWith("it does not exist") === true)
      .map(({ name, path }) => ({ name, path, near: findNearby(folder, name) }));
}

function listFiles(folder: string): ReadonlySet<string> {
  try {
    return new Set(
      readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
        entry.isFile() ? [join(folder, entry.name)] : [],
      ),
    );
  } catch {
    return new Set();
  }
}

/** Describes where a missing image was expected, and which similar file exists. */
export const describeMissingImage = (missing: MissingImage): string => {
  const [, { example, advice }] = missingFinding(missing);
  return `${example}. ${advice}`;
};

function missingFinding({ path, near }: MissingImage): Finding {
  return near === undefined ?
      [
        "image file that is missing",
        {
          example: `${path}: the image is missing`,
          advice: "Look whether the folder of the images is the right one.",
        },
      ]
    : [
        "image file that has another name",
        {
          example: `${path}: the image is missing, but ${near.path} is there, which differs ${near.differs}`,
          advice: "Correct file_name in the annotations, or rename the file.",
        },
      ];
}

/** An annotated image: its size and file. */
export interface AnnotatedFile extends ImageSize {
  readonly file_name: string;
}

/** Options of the review of pictures. */
export interface PictureReviewOptions {
  /** How photos with an EXIF orientation are read. Default "stored". */
  readonly orientation?: "stored" | "exif";
  /** Largest number of pixels of a picture that can be read. Default 178,956,970. */
  readonly maxPixels?: number;
  /**
   * What is read of each picture: its header, which takes a fraction of a millisecond, or all its pixels,
   * which alone reveals truncated files. Default "headers".
   */
  readonly read?: "headers" | "pixels";
  /** Called with the number of pictures done. */
  readonly onImage?: ((done: number) => void) | undefined;
  /** Ends the review early, with the findings so far. */
  readonly signal?: AbortSignal;
}

type Finding = readonly [kind: string, said: Said];

/**
 * Reviews the pictures that annotations name, several at a time, and adds to `found`, in the order of
 * `images`, those that are missing, can't be read, have another size than annotated, or have an EXIF
 * orientation other than that in which they are read.
 */
export async function reviewPictures(
  folder: string,
  images: readonly AnnotatedFile[],
  found: FindingList,
  options: PictureReviewOptions = {},
): Promise<void> {
  const findMissing = missingImageFinder(folder);
  const findings = await inOrder(images, (image) => review(folder, image, findMissing, options), options);
  for (const finding of findings.flat()) found.add(...finding);
}

async function review(
  folder: string,
  image: AnnotatedFile,
  findMissing: ReturnType<typeof missingImageFinder>,
  { orientation = "stored", maxPixels, read = "headers" }: PictureReviewOptions,
): Promise<readonly Finding[]> {
  const { file_name, width, height } = image;
  const [missing] = findMissing([file_name]);
  if (missing !== undefined) return [missingFinding(missing)];
  const path = join(folder, file_name);
  const limit = maxPixels === undefined ? {} : { maxPixels };
  const found: Finding[] = [];
  try {
    const header = await readImageHeader(path, limit);
    const fits = isSize(sizeAsRead(header, orientation), image);
    const fitsOther = isSize(sizeAsRead(header, orientation === "stored" ? "exif" : "stored"), image);
    if (header.orientation > 1 && fitsOther) {
      found.push(["photo that EXIF says is turned", turned(file_name, header, { orientation, fits })]);
    } else if (!fits && [width, height].every((edge) => Number.isSafeInteger(edge) && edge > 0)) {
      // Invalid sizes are reported by the review of annotations.
      found.push([
        "image of another size than its annotation says",
        {
          example: `${file_name}: the file has ${header.width}x${header.height} pixels, annotated ${width}x${height}`,
          advice: "Correct the annotations, or replace the image.",
        },
      ]);
    }
    if (read === "pixels") await readImageFile(path, { orient: orientation === "exif", ...limit });
  } catch (error) {
    found.push([
      "image that can't be read",
      {
        example: (error as Error).message.replace(/\.$/, ""),
        advice: "Replace it, or remove it from the annotations.",
      },
    ]);
  }
  return found;
}

const isSize = (a: ImageSize, b: ImageSize): boolean => a.width === b.width && a.height === b.height;

// Where the size fits in spite of the orientation, it doesn't tell in which orientation the photo was
// annotated.
function turned(
  name: string,
  { orientation: turn }: ImageHeader,
  { orientation, fits }: { readonly orientation: "stored" | "exif"; readonly fits: boolean },
): Said {
  const how = orientation === "stored" ? "as it is stored" : "upright, as EXIF says";
  return {
    severity: fits ? "note" : "error",
    example: `${name}: EXIF says that it is turned or mirrored (orientation ${turn}); it is read ${how}, and its annotated size ${fits ? "does not tell which way up it was annotated" : "is that of the other way up"}`,
    advice:
      orientation === "stored" ? "Look at its objects." : (
        'Where photos were annotated as stored, leave orientation at "stored".'
      ),
    ...(orientation === "stored" ? { remedy: "turn photos" as const } : {}),
  };
}
