/** Looks the picture files of annotations over: which are missing, and which EXIF says are turned. */
import { readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import type { ImageSize } from "@mrcnn/core";
import type { FindingList } from "@mrcnn/masks";
import { readImageHeader } from "./image-file.ts";
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
    return new Set(readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [join(folder, entry.name)] : [])));
  } catch {
    return new Set();
  }
}

/** Says where a missing image was looked for, and what lies there instead. */
export function describeMissingImage({ path, near }: MissingImage): string {
  if (near === undefined) return `${path}: the image is missing. Look whether the folder of the images is the right one.`;
  return `${path}: the image is missing. But ${near.path} is there, which differs ${near.differs}: correct file_name in the annotations, or rename the file.`;
}

/** A photo that EXIF says is turned. */
export interface TurnedPhoto {
  readonly name: string;
  /** EXIF's orientation, 2 to 8. */
  readonly orientation: number;
  /** Which way up its annotated size fits; undefined where both or neither do. */
  readonly fits: "stored" | "exif" | undefined;
}

/** The size that the annotations give an image, and its file. */
export interface AnnotatedFile extends ImageSize {
  readonly file_name: string;
}

/**
 * Finds photos that EXIF says are turned or mirrored, by their headers. With `limit` only so many are looked at, evenly spread.
 * Files that can't be read are left out: reading them says why.
 */
export async function findTurnedPhotos(folder: string, images: readonly AnnotatedFile[], { limit = Infinity }: { readonly limit?: number } = {}): Promise<TurnedPhoto[]> {
  const count = Math.min(limit, images.length);
  const turned: TurnedPhoto[] = [];
  for (let i = 0; i < count; i++) {
    const image = images[Math.floor((i * images.length) / count)]!;
    const photo = await turnOf(folder, image);
    if (photo !== undefined) turned.push(photo);
  }
  return turned;
}

/** How EXIF says a photo is turned; undefined where it is upright or can't be read. */
export async function turnOf(folder: string, { file_name, width, height }: AnnotatedFile): Promise<TurnedPhoto | undefined> {
  const header = await readImageHeader(join(folder, file_name)).catch(() => undefined);
  if (header === undefined || header.orientation === 1) return undefined;
  const isSwapped = header.orientation >= 5;
  const stored = header.width === width && header.height === height;
  const upright = isSwapped ? header.width === height && header.height === width : stored;
  return { name: file_name, orientation: header.orientation, fits: stored === upright ? undefined : stored ? "stored" : "exif" };
}

/** Adds what there is to say about a turned photo that is read as `read` says: nothing where its size tells that this is right. */
export function addTurnedPhoto(found: FindingList, { name, orientation, fits }: TurnedPhoto, { read, lookedAt = "" }: { readonly read: "stored" | "exif"; readonly lookedAt?: string }): void {
  if (fits === read) return;
  const how = read === "stored" ? "as it is stored" : "upright, as EXIF says";
  found.add("photo that EXIF says is turned", {
    severity: fits === undefined ? "note" : "error",
    example: `${name}: EXIF says that it is turned or mirrored (orientation ${orientation}); it is read ${how}, and its annotated size ${fits === undefined ? "does not tell which way up it was annotated" : "is that of the other way up"}`,
    advice: lookedAt + (read === "stored" ? "Look at its objects." : 'Where photos were annotated as stored, leave orientation at "stored".'),
    ...(read === "stored" ? { remedy: "turn photos" as const } : {}),
  });
}
