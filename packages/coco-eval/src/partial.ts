/** Serialization of partial results, to be merged by another evaluator. */
import { ConfigError, DatasetError, parseJson, toJson } from "@mrcnn/core";
import type { CocoId } from "@mrcnn/core";
import type { Core } from "./core.ts";
import { openImage, wordsOf } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import type { ResolvedParams } from "./params.ts";

// A partial result is one line of JSON (the parameters, the ids of all images, and the sizes of each
// category's ledger), then little-endian numbers: per category the ledger's columns, doubles before words.
const FORMAT = "@mrcnn/coco-eval partial 2";

interface Head {
  readonly format: string;
  readonly params: ResolvedParams;
  readonly imageIds: readonly CocoId[];
  /** [number of detections, number of images with detections] of each category. */
  readonly ledgers: readonly (readonly [length: number, images: number])[];
}

/** The content of a partial result. */
export interface Partial {
  readonly imageIds: readonly CocoId[];
  /** Adds the results of category `k` to `ledger`; the images' indices begin at `offset`. */
  addTo(ledger: Ledger, k: number, offset: number): void;
}

export function writePartial(params: ResolvedParams, { ledgers, imageIds }: Core): Uint8Array {
  const words = wordsOf(params.areaRanges.length, params.iouThresholds.length);
  const head: Head = {
    format: FORMAT,
    params,
    imageIds,
    ledgers: ledgers.map(({ length, images }) => [length, images]),
  };
  const text = new TextEncoder().encode(`${toJson(head)}\n`);
  const size = ledgers.reduce(
    (sum, { length, images, objects }) =>
      sum + 8 * (length + images + objects.length) + 4 * (images + (1 + 2 * words) * length),
    text.length,
  );
  const bytes = new Uint8Array(size);
  bytes.set(text);
  const view = new DataView(bytes.buffer);
  let at = text.length;
  const doubles = (values: Iterable<number>): void => {
    for (const value of values) view.setFloat64((at += 8) - 8, value, true);
  };
  const whole = (values: Iterable<number>): void => {
    for (const value of values) view.setUint32((at += 4) - 4, value, true);
  };
  for (const { length, images, score, image, start, objects, place, bits } of ledgers) {
    doubles(score.subarray(0, length));
    doubles(start.subarray(0, images));
    doubles(objects);
    whole(image.subarray(0, images));
    whole(place.subarray(0, length));
    whole(bits.subarray(0, 2 * words * length));
  }
  return bytes;
}

/**
 * Reads a partial result.
 *
 * @throws DatasetError when the bytes are no partial result, ConfigError when its parameters differ from
 * `params`.
 */
export function readPartial(bytes: Uint8Array, params: ResolvedParams): Partial {
  const end = bytes.indexOf(10);
  let head: Head | undefined;
  try {
    head = parseJson(new TextDecoder().decode(bytes.subarray(0, Math.max(0, end)))) as Head;
  } catch {
    // not a partial result
  }
  if (head?.format !== FORMAT)
    throw new DatasetError(
      "merge: partial must be what another evaluator's partial() gave, got something else.",
    );
  for (const key of Object.keys(params) as (keyof ResolvedParams)[]) {
    const here = toJson(params[key]);
    const there = toJson(head.params[key]);
    if (here !== there)
      throw new ConfigError(
        `merge: ${key} must be that of this evaluator, ${short(here)}, got ${short(there)}. Create both alike.`,
      );
  }
  const words = wordsOf(params.areaRanges.length, params.iouThresholds.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sizes = head.ledgers.map(
    ([length, images]) =>
      8 * (length + images + params.areaRanges.length) + 4 * (images + (1 + 2 * words) * length),
  );
  const starts = [end + 1];
  for (const size of sizes) starts.push(starts.at(-1)! + size);
  if (starts.at(-1) !== bytes.length)
    throw new DatasetError(
      `merge: partial must be ${starts.at(-1)} bytes long, got ${bytes.length}. It was cut short.`,
    );
  const { ledgers, imageIds } = head;
  return {
    imageIds,
    addTo(ledger, k, before) {
      const [length, images] = ledgers[k]!;
      const scores = starts[k]!;
      const begins = scores + 8 * length;
      const objects = begins + 8 * images;
      const ofImages = objects + 8 * params.areaRanges.length;
      const places = ofImages + 4 * images;
      const bits = places + 4 * length;
      const offset = ledger.length;
      for (let i = 0; i < images; i++) {
        const begin = view.getFloat64(begins + 8 * i, true);
        const next = i + 1 < images ? view.getFloat64(begins + 8 * (i + 1), true) : length;
        openImage(ledger, before + view.getUint32(ofImages + 4 * i, true), next - begin, words);
      }
      for (let a = 0; a < ledger.objects.length; a++)
        ledger.objects[a]! += view.getFloat64(objects + 8 * a, true);
      for (let i = 0; i < length; i++) {
        ledger.score[offset + i] = view.getFloat64(scores + 8 * i, true);
        ledger.place[offset + i] = view.getUint32(places + 4 * i, true);
      }
      for (let i = 0; i < 2 * words * length; i++)
        ledger.bits[2 * words * offset + i] = view.getUint32(bits + 4 * i, true);
    },
  };
}

const short = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}...` : text);
