// Which pictures `mrcnn detect` is asked to look at, and what each is called.
import { lstatSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { isForeignPictureName, isPictureName, PICTURE_ENDINGS } from "@mrcnn/datasets";
import { CommandError, UsageError } from "./errors.ts";
import { stateOf } from "./files.ts";
import { plural } from "./plural.ts";
import { shownName } from "./terminal.ts";

/** A picture to look at. */
export interface Input {
  readonly path: string;
  /**
   * What results call it: as given, or its path within the folder given; with several folders, the path with
   * the folder.
   */
  readonly name: string;
  /** Its path within the folder given; the file's name for one that was given itself. */
  readonly within: string;
  /** Why it can't be read, where that shows without opening it. */
  readonly problem?: string;
}

export interface FindOptions {
  /** Whether folders within folders are looked into. */
  readonly recursive: boolean;
  /** A folder that is written to: pictures in it are none to look at. */
  readonly except?: string | undefined;
  /** Told in one line of what is passed over. */
  readonly note: (line: string) => void;
}

const KINDS = PICTURE_ENDINGS.join(", ");

/** "a.txt, b.txt, c.txt, …" */
const few = (names: readonly string[]): string =>
  `${names.slice(0, 3).map(shownName).join(", ")}${names.length > 3 ? ", …" : ""}`;

/**
 * Lists the pictures at `paths`: files as they are given, folders by the names in them.
 *
 * @throws CommandError for a folder without pictures; UsageError for `recursive` without a folder.
 */
export function findInputs(paths: readonly string[], options: FindOptions): Input[] {
  const folders = paths.filter((path) => stateOf(path)?.isDirectory() === true);
  if (options.recursive && folders.length === 0)
    throw new UsageError("--recursive: no folder is given to look into. Leave it out.");
  return paths.flatMap((path): Input[] => {
    if (!folders.includes(path)) return [{ path, name: path, within: basename(path), ...problemOf(path) }];
    const found = walk(path, options);
    if (found.length === 0) throw new CommandError(`${path}: the folder holds no images (${KINDS}).`);
    return found.map(({ within, problem }) => {
      const whole = join(path, within);
      return {
        path: whole,
        name: folders.length > 1 ? whole : within,
        within,
        ...(problem === undefined ? problemOf(whole) : { problem }),
      };
    });
  });
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  } catch {
    return false;
  }
}

// Reading a pipe or a device could wait for ever.
function problemOf(path: string): { problem: string } | undefined {
  const state = stateOf(path);
  // Names that aren't UTF-8 are listed with this in place of what can't be read.
  if (state === undefined && path.includes("\uFFFD"))
    return { problem: "its name is not UTF-8, so it can't be opened. Rename it" };
  if (state === undefined)
    return {
      problem:
        isLink(path) ? "it is a symlink that leads to no file" : "no such image or folder. Check the path",
    };
  if (state.isDirectory()) return { problem: "that is a folder with the name of an image" };
  if (!state.isFile()) return { problem: "it is no regular file but a pipe, a socket or a device" };
  return undefined;
}

/** The pictures in a folder by name, and the folders in it that can't be looked into. */
function walk(
  folder: string,
  { recursive, except, note }: FindOptions,
): { within: string; problem?: string }[] {
  const found: { within: string; problem?: string }[] = [];
  const passedOver: string[] = [];
  const notEntered: string[] = [];
  const avoided = except === undefined ? undefined : real(except);
  const entered = new Set<string>(); // symlinks may lead in circles
  const enter = (within: string): void => {
    const place = real(join(folder, within));
    if (place === undefined || entered.has(place)) return;
    if (place === avoided && within !== "") {
      note(`${join(folder, within)} is not looked into: overlays go there.`);
      return;
    }
    entered.add(place);
    let names: string[];
    try {
      names = readdirSync(join(folder, within)).toSorted();
    } catch (error) {
      if (within === "") throw error;
      found.push({ within, problem: `the folder can't be looked into: ${(error as Error).message}` });
      return;
    }
    for (const name of names) {
      const path = join(within, name);
      const isFolder = !name.startsWith(".") && stateOf(join(folder, path))?.isDirectory() === true;
      if (isFolder && recursive) enter(path);
      // A picture of a kind that can't be read is named when it is its turn.
      else if (isPictureName(name) || isForeignPictureName(name)) found.push({ within: path });
      else (isFolder ? notEntered : passedOver).push(path);
    }
  };
  enter("");
  if (passedOver.length > 0)
    note(
      `${folder}: ${passedOver.length} file${passedOver.length === 1 ? " that is no image is" : "s that are no images are"} passed over: ${few(passedOver)}`,
    );
  if (notEntered.length > 0)
    note(
      `${folder}: ${plural(notEntered.length, "folder")} in it ${notEntered.length === 1 ? "is" : "are"} not looked into: ${few(notEntered)}. --recursive does that.`,
    );
  return found;
}

function real(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/**
 * A name for each picture's overlay, within the folder of overlays: the picture's with ".png" instead of its
 * extension, after it where two would be alike, numbered where that does not help. Sub-folders are kept.
 */
export function overlayNames(inputs: readonly Input[]): string[] {
  const used = new Set<string>();
  return inputs.map(({ within }) => {
    const folder = dirname(within);
    const [whole, stem] = [basename(within), basename(within, extname(within))];
    const isFree = (candidate: string): boolean => !used.has(join(folder, candidate).toLowerCase()); // as disks that know no case see it
    let free = [stem, whole].find(isFree);
    for (let n = 2; free === undefined; n++) if (isFree(`${stem}-${n}`)) free = `${stem}-${n}`;
    used.add(join(folder, free).toLowerCase());
    return join(folder, `${free}.png`);
  });
}
