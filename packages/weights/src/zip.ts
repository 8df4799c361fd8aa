/** Reader of zip archives, as `torch.save` writes them. */
import { printable, WeightsError } from "@mrcnn/core";

// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, as far as torch uses it: entries that are
// stored, not compressed, with the sizes of the central directory, in 32 or 64 bits. It is written here
// because weights then stay in the archive's memory: libraries copy each entry out of it.

/** One file of an archive. */
export interface ZipEntry {
  readonly name: string;
  /** Position of its data in the archive. */
  readonly begin: number;
  /** The data, as a view of the archive. */
  readonly bytes: Uint8Array;
  /** The checksum in the archive, not yet verified. */
  readonly crc: number;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const MAX_COMMENT = 0xffff;
/** Maximum number of entries. There is one per storage: models have some hundreds. */
const MAX_ENTRIES = 1 << 16;

/**
 * Reads the entries of a zip archive, by name; directories are left out. Checks that each lies in the file
 * and overlaps no other; `checkZipEntry` verifies its checksum.
 *
 * @throws WeightsError naming the entry and position when the archive is truncated, corrupt, compressed,
 * encrypted or split.
 */
export function readZip(bytes: Uint8Array, where: string): ReadonlyMap<string, ZipEntry> {
  const fail = (at: number, what: string): never => {
    throw new WeightsError(`${where}: byte ${at}: ${what}. The archive is cut or corrupt.`);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const uint64 = (at: number): number => {
    const value = view.getBigUint64(at, true);
    return value > BigInt(bytes.length) ?
        fail(at, `a position or size of ${value} lies outside a file of ${bytes.length} bytes`)
      : Number(value);
  };

  const end = findEnd(view);
  if (end === undefined)
    return fail(bytes.length, "a zip archive should end with its directory, but has none");
  let count = view.getUint16(end + 10, true);
  let size = view.getUint32(end + 12, true);
  let begin = view.getUint32(end + 16, true);
  let directoryEnd = end;
  if (view.getUint16(end + 4, true) !== 0 && view.getUint16(end + 4, true) !== 0xffff)
    fail(end, "archives of several parts can't be read");
  if (end >= 20 && view.getUint32(end - 20, true) === END64_LOCATOR) {
    const at = uint64(end - 12);
    if (at + 56 > end - 20 || view.getUint32(at, true) !== END64)
      fail(end - 20, "the 64-bit directory's end is not where it should be");
    count = uint64(at + 32);
    size = uint64(at + 40);
    begin = uint64(at + 48);
    directoryEnd = at;
  }
  if (begin + size > directoryEnd)
    fail(end, `the directory should lie at ${begin} to ${begin + size}, but must end before ${directoryEnd}`);
  if (count > MAX_ENTRIES) fail(end, `${count} entries are more than a checkpoint has`);
  // Each takes 46 bytes and its name.
  if (count * 46 > size) fail(end, `${count} entries don't fit into a directory of ${size} bytes`);

  const entries = new Map<string, ZipEntry>();
  let at = begin;
  for (let i = 0; i < count; i++) {
    if (at + 46 > begin + size || view.getUint32(at, true) !== CENTRAL)
      fail(at, `entry ${i} of the directory is missing`);
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const crc = view.getUint32(at + 16, true);
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > begin + size) fail(at, `entry ${i} is longer than the directory`);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));

    // Values that don't fit 32 bits are in an extra field, in this order.
    const fields = [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ];
    let extra = at + 46 + nameLength;
    const extraEnd = extra + extraLength;
    while (extra + 4 <= extraEnd) {
      const id = view.getUint16(extra, true);
      const length = view.getUint16(extra + 2, true);
      extra += 4;
      if (extra + length > extraEnd)
        fail(at, `entry ${printable(name)}: an extra field is longer than its place`);
      if (id === 1) {
        let from = extra;
        for (const [k, value] of fields.entries()) {
          if (value !== 0xffffffff) continue;
          if (from + 8 > extra + length)
            return fail(at, `entry ${printable(name)}: its 64-bit sizes are missing`);
          fields[k] = uint64(from);
          from += 8;
        }
      }
      extra += length;
    }
    const [whole, packed, header] = fields as [number, number, number];
    at = next;
    if (name.endsWith("/")) continue;
    if (flags & 1) fail(at, `entry ${printable(name)} is encrypted`);
    if (method !== 0) {
      throw new WeightsError(
        `${where}: entry ${printable(name)} of the archive must be stored as it is, got one compressed by method ${method}. Save the file again with torch.save.`,
      );
    }
    if (whole !== packed)
      fail(
        at,
        `entry ${printable(name)}: its two sizes are ${packed} and ${whole}, but it is not compressed`,
      );
    if (header + 30 > begin || view.getUint32(header, true) !== LOCAL)
      return fail(header, `entry ${printable(name)} doesn't begin there`);
    const dataBegin = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
    if (dataBegin + whole > begin)
      fail(
        header,
        `entry ${printable(name)} should end at byte ${dataBegin + whole}, but the directory begins at ${begin}`,
      );
    if (entries.has(name)) fail(at, `entry ${printable(name)} is there twice`);
    entries.set(name, { name, begin: dataBegin, bytes: bytes.subarray(dataBegin, dataBegin + whole), crc });
  }

  let position = 0;
  for (const { name, begin: from, bytes: data } of [...entries.values()].toSorted(
    (a, b) => a.begin - b.begin || a.bytes.length - b.bytes.length,
  )) {
    if (from < position) fail(from, `entry ${printable(name)} overlaps the one before`);
    position = from + data.length;
  }
  return entries;
}

/**
 * Verifies an entry's checksum. A checksum of 0 means none, as torch writes when told to leave it out.
 *
 * @throws WeightsError when the checksum isn't that of the entry's bytes.
 */
export function checkZipEntry(entry: ZipEntry, where: string): void {
  if (entry.crc === 0) return;
  const crc = crc32(entry.bytes);
  if (crc !== entry.crc) {
    const hex = (value: number): string => value.toString(16).padStart(8, "0");
    throw new WeightsError(
      `${where}: byte ${entry.begin}: entry ${printable(entry.name)} must have the checksum ${hex(entry.crc)}, got ${hex(crc)}. The file is corrupt.`,
    );
  }
}

function findEnd(view: DataView): number | undefined {
  const last = view.byteLength - 22;
  for (let at = last; at >= Math.max(0, last - MAX_COMMENT); at--) {
    if (view.getUint32(at, true) === END && at + 22 + view.getUint16(at + 20, true) === view.byteLength)
      return at;
  }
  return undefined;
}

// Eight tables process eight bytes at once.
const TABLES = /* @__PURE__ */ (() => {
  const tables = new Uint32Array(8 * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    tables[n] = c;
  }
  for (let n = 256; n < tables.length; n++) {
    const before = tables[n - 256]!;
    tables[n] = tables[before & 255]! ^ (before >>> 8);
  }
  return tables;
})();

/** Computes the CRC-32 of zip archives. */
export function crc32(bytes: Uint8Array): number {
  const t = TABLES;
  let c = -1;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    const a = c ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    c =
      t[1792 + (a & 255)]! ^
      t[1536 + ((a >>> 8) & 255)]! ^
      t[1280 + ((a >>> 16) & 255)]! ^
      t[1024 + (a >>> 24)]! ^
      t[768 + bytes[i + 4]!]! ^
      t[512 + bytes[i + 5]!]! ^
      t[256 + bytes[i + 6]!]! ^
      t[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) c = t[(c ^ bytes[i]!) & 255]! ^ (c >>> 8);
  return ~c >>> 0;
}
