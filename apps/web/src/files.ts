/** Reads and classifies files that the user drops or chooses. */
import type { PathFile } from "./protocol.ts";

/** Files by kind. */
export interface Sorted {
  readonly images: readonly File[];
  readonly videos: readonly File[];
  /** Weights, or the files of a training run. */
  readonly model: readonly PathFile[];
  readonly others: readonly PathFile[];
}

const WEIGHTS = /\.(pth|pt|pkl|h5|hdf5|safetensors)$/i;
const IMAGE = /\.(png|jpe?g|webp|avif|gif|bmp|tiff?)$/i;
const VIDEO = /\.(mp4|m4v|webm|mov|ogv)$/i;

/** Separates images, videos and models by their type, and by their names where they have none. */
export function sortFiles(files: readonly PathFile[]): Sorted {
  const isRun =
    files.some(({ path }) => /(^|\/)config\.json$/.test(path)) &&
    files.some(({ path }) => path.endsWith(".safetensors"));
  if (isRun)
    return {
      images: [],
      videos: [],
      model: files.filter(({ path }) => /(config\.json|weights\.safetensors)$/.test(path)),
      others: [],
    };
  const kindOf = ({ path, file }: PathFile): "images" | "videos" | "model" | "others" => {
    if (file.type.startsWith("image/") || IMAGE.test(path)) return "images";
    if (file.type.startsWith("video/") || VIDEO.test(path)) return "videos";
    return WEIGHTS.test(path) ? "model" : "others";
  };
  const of = (kind: keyof Sorted): PathFile[] => files.filter((one) => kindOf(one) === kind);
  return {
    images: of("images").map(({ file }) => file),
    videos: of("videos").map(({ file }) => file),
    model: of("model"),
    others: of("others"),
  };
}

/** Returns the files of an `<input>`, with their paths where a folder was chosen. */
export const filesOfInput = (input: HTMLInputElement): PathFile[] =>
  [...(input.files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

/** Returns the files of a drop or paste, including those in folders. */
export async function filesOfTransfer(transfer: DataTransfer): Promise<PathFile[]> {
  // Entries must be read before the first await: the list is empty afterwards.
  const entries = [...transfer.items].flatMap((item) =>
    item.kind === "file" ? [{ entry: item.webkitGetAsEntry(), file: item.getAsFile() }] : [],
  );
  const all = await Promise.all(
    entries.map(({ entry, file }) =>
      entry?.isDirectory === true ? readFolder(entry as FileSystemDirectoryEntry)
      : file === null ? []
      : [{ path: file.name, file }],
    ),
  );
  return all.flat();
}

async function readFolder(folder: FileSystemDirectoryEntry): Promise<PathFile[]> {
  const reader = folder.createReader();
  const entries: FileSystemEntry[] = [];
  // A reader returns a part of the entries at a time.
  for (
    let part: FileSystemEntry[];
    (part = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)))
      .length > 0;
  )
    entries.push(...part);
  const all = await Promise.all(
    entries.map(async (entry) => {
      if (entry.isDirectory) return readFolder(entry as FileSystemDirectoryEntry);
      const file = await new Promise<File>((resolve, reject) =>
        (entry as FileSystemFileEntry).file(resolve, reject),
      );
      return [{ path: entry.fullPath.replace(/^\//, ""), file }];
    }),
  );
  return all.flat();
}
