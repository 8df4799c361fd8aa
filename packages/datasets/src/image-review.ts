/** Looks the picture files of annotations over: what is missing, can't be read, has another size, or is turned by EXIF. */
import { readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import type { ImageSize } from "@mrcnn/core";
import type { FindingList, Said } from "@mrcnn/masks";
import { readImageFile, readImageHeader, sizeAsRead } from "./image-file.ts";
import type { ImageHeader } from "./image-file.ts";
import { inOrder } from "./in-order.ts";
import { createFindNearby, type NearbyFile } from "./nearby-file.ts";
import { whyNoFile } from "./regular-file.ts";

/** An image of the annotations that isn't there. */
export interface MissingImage {
  /** What the annotations call it. */
  readonly name: string;
  /** Where it was looked for. */
  readonly path: string;
  /** What lies there that may be meant. It is never taken for the image: two data sets may have pictures of one name. */
  readonly near: NearbyFile | undefined;
}

/** Makes a finder of those images that aren't in a folder. Each folder is listed once, and files it lists are taken to be there. */
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
      .filter(({ path }) => whyNoFile(path)?.startsWith("it does not exist") === true) // a link, or a disk that knows no case
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

/** Says where a missing image was looked for, and what lies there instead. */
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

/** The size that the annotations give an image, and its file. */
export interface AnnotatedFile extends ImageSize {
  readonly file_name: string;
}

/** How the pictures of a data set are looked over. */
export interface PictureReviewOptions {
  /** Which way up photos are read that EXIF says are turned. Default "stored". */
  readonly orientation?: "stored" | "exif";
  /** Pictures of more pixels can't be read. Default 178,956,970. */
  readonly maxPixels?: number;
  /** What is read of each: its header (default), a fraction of a millisecond, or all its pixels, which alone finds what is cut. */
  readonly read?: "headers" | "pixels";
  /** Told how many are done. */
  readonly onImage?: ((done: number) => void) | undefined;
  /** Ends it, with what was found so far. */
  readonly signal?: AbortSignal;
}

type Finding = readonly [kind: string, said: Said];

/**
 * Looks the pictures that annotations name over, several at a time, and adds to `found`, in the order of `images`, which
 * are missing, can't be read, have another size than annotated, or are turned by EXIF another way than they are read.
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
      // What is no size at all is told by the rules for annotations.
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

// Where it fits all the same, its size doesn't tell which way up it was annotated.
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
