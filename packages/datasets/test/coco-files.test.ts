import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Sample } from "@mrcnn/core";
import { createFindingList } from "@mrcnn/masks";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { cocoFromSamples, shapesDataset } from "../src/index.ts";
import {
  cocoDatasetFromFiles,
  openDataset,
  readCocoAnnotations,
  readImageFile,
  readThrough,
  reviewPictures,
  writeCocoAnnotations,
  writeImageFile,
} from "../src/node.ts";
import type { PictureReviewOptions } from "../src/node.ts";
import { temporaryFolder } from "./folder.ts";

describe("COCO on disk", () => {
  it("reads images and annotations that were written", async () => {
    const folder = temporaryFolder();
    const shapes = shapesDataset({ count: 2, seed: 9 });
    const samples = [await shapes.get(0), await shapes.get(1)];
    for (const { name, image } of samples) await writeImageFile(join(folder, "images", name), image);
    const annotations = join(folder, "annotations.json");
    await writeCocoAnnotations(annotations, cocoFromSamples(samples, shapes.classNames));
    expect((await readdir(folder)).toSorted()).toEqual(["annotations.json", "images"]);

    const dataset = await openDataset({ kind: "coco", images: join(folder, "images"), annotations });
    expect(dataset.length).toBe(2);
    expect(dataset.classNames).toEqual(shapes.classNames);
    for (const [i, sample] of samples.entries()) {
      const read = await dataset.get(i);
      expect([...read.image.data]).toEqual([...sample.image.data]);
      expect(read.groundTruth).toEqual(sample.groundTruth);
    }
  });

  it("names a file that is missing or no JSON", async () => {
    const folder = temporaryFolder();
    await expect(readCocoAnnotations(join(folder, "none.json"))).rejects.toThrow(
      `${join(folder, "none.json")}: annotations must be a readable JSON file`,
    );
    await writeFile(join(folder, "cut.json"), '{"images": [');
    await expect(readCocoAnnotations(join(folder, "cut.json"))).rejects.toMatchObject({ code: "dataset" });
  });
  it("names the file of a dangling id, and of a missing image", async () => {
    const folder = temporaryFolder();
    const annotations = join(folder, "gt.json");
    const json = {
      images: [{ id: 1, width: 4, height: 4, file_name: "a.png" }],
      categories: [{ id: 1, name: "thing" }],
      annotations: [{ id: 5, image_id: 1, category_id: 1, bbox: [0, 0, 2, 2] as const }],
    };
    await writeCocoAnnotations(annotations, json);
    await expect(cocoDatasetFromFiles({ images: folder, annotations })).rejects.toThrow(
      `${annotations}: ${join(folder, "a.png")}: the image is missing. Look whether the folder`,
    );
    const dataset = await cocoDatasetFromFiles({ images: folder, annotations, pictures: "later" });
    await expect(dataset.get(0)).rejects.toThrow(`${join(folder, "a.png")}: the image is missing.`);
    await writeCocoAnnotations(annotations, {
      ...json,
      annotations: [{ ...json.annotations[0]!, image_id: 2 }],
    });
    await expect(cocoDatasetFromFiles({ images: folder, annotations })).rejects.toThrow(
      /gt\.json: annotation 5: image_id/,
    );
  });
  it("refuses boxes without area, or reports them as dropped", async () => {
    const folder = temporaryFolder();
    const annotations = join(folder, "gt.json");
    await writeCocoAnnotations(annotations, {
      images: [{ id: 1, width: 4, height: 4, file_name: "a.png" }],
      categories: [{ id: 1, name: "thing" }],
      annotations: [
        { id: 5, image_id: 1, category_id: 1, bbox: [0, 0, 0, 2] },
        { id: 6, image_id: 1, category_id: 1, bbox: [0, 0, 1, 2] },
      ],
    });
    await expect(cocoDatasetFromFiles({ images: folder, annotations })).rejects.toThrow(/annotation 5/);
    const dataset = await cocoDatasetFromFiles({
      images: folder,
      annotations,
      degenerate: "drop",
      pictures: "later",
    });
    expect(dataset.dropped.map(({ id }) => id)).toEqual([5]);
  });
});

describe("images of a data set", () => {
  const box = { id: 1, image_id: 1, category_id: 1, bbox: [0, 0, 2, 2] as const };
  const categories = [{ id: 1, name: "thing" }];
  async function annotate(
    folder: string,
    images: readonly { file_name: string; width: number; height: number }[],
  ): Promise<string> {
    const annotations = join(folder, "gt.json");
    await writeCocoAnnotations(annotations, {
      images: images.map((image, i) => ({ id: i + 1, ...image })),
      categories,
      annotations: [box],
    });
    return annotations;
  }
  const photo = async (
    path: string,
    { width, height, orientation }: { width: number; height: number; orientation: number },
  ): Promise<void> => {
    await mkdir(dirname(path), { recursive: true });
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (Math.floor(i / 3) % width) * 20);
    await sharp(data, { raw: { width, height, channels: 3 } })
      .withMetadata({ orientation })
      .jpeg()
      .toFile(path);
  };

  it.each<[string, string, string]>([
    ["images\\a.jpg", "a.jpg", "in its backslashes and in its folders"],
    ["/data/upload/4/a.jpg", "a.jpg", "in its folders"],
    ["su\u0308d/a.jpg", "s\u00fcd/a.jpg", "in the Unicode form of its letters (they look the same)"],
    ["A.JPG", "a.jpg", "in letter case"],
    ["a.png", "a.jpg", "in its ending"],
  ])("names what lies where %j is missing, when opened", async (name, there, differs) => {
    const folder = temporaryFolder();
    await photo(join(folder, there), { width: 8, height: 4, orientation: 1 });
    const annotations = await annotate(folder, [
      { file_name: name, width: 8, height: 4 },
      { file_name: "b.jpg", width: 8, height: 4 },
    ]);
    await expect(cocoDatasetFromFiles({ images: folder, annotations })).rejects.toThrow(
      `${annotations}: ${join(folder, name)}: the image is missing, but ${join(folder, there)} is there, which differs ${differs}. Correct file_name in the annotations, or rename the file. Wrong as well: image file that is missing (1).`,
    );
  });
  it("finds images in folders within, and through links", async () => {
    const folder = temporaryFolder();
    await photo(join(folder, "x", "a.jpg"), { width: 8, height: 4, orientation: 1 });
    await symlink(join(folder, "x", "a.jpg"), join(folder, "b.jpg"));
    const annotations = await annotate(folder, [
      { file_name: "x/a.jpg", width: 8, height: 4 },
      { file_name: "b.jpg", width: 8, height: 4 },
      { file_name: "./x/../b.jpg", width: 8, height: 4 },
    ]);
    expect((await cocoDatasetFromFiles({ images: folder, annotations })).length).toBe(3);
  });

  it("reads a photo that EXIF says is turned as chosen", async () => {
    const folder = temporaryFolder();
    await photo(join(folder, "a.jpg"), { width: 8, height: 4, orientation: 6 });
    const stored = await annotate(folder, [{ file_name: "a.jpg", width: 8, height: 4 }]);
    const asStored = await (await cocoDatasetFromFiles({ images: folder, annotations: stored })).get(0);
    expect(asStored.image).toMatchObject({ width: 8, height: 4 });
    await expect(
      cocoDatasetFromFiles({ images: folder, annotations: stored, orientation: "exif" }),
    ).rejects.toThrow(
      `${stored}: a.jpg: EXIF says that it is turned or mirrored (orientation 6); it is read upright, as EXIF says, and its annotated size is that of the other way up. Where photos were annotated as stored, leave orientation at "stored".`,
    );
    const upright = await annotate(folder, [{ file_name: "a.jpg", width: 4, height: 8 }]);
    await expect(cocoDatasetFromFiles({ images: folder, annotations: upright })).rejects.toThrow(
      'choose orientation: "exif".',
    );
    await expect(
      (await cocoDatasetFromFiles({ images: folder, annotations: upright, pictures: "later" })).get(0),
    ).rejects.toThrow(
      'if EXIF says that this one is turned, and it was annotated upright, choose orientation "exif"',
    );
    const { image } = await (
      await openDataset({ kind: "coco", images: folder, annotations: upright, orientation: "exif" })
    ).get(0);
    // Orientation 6: the stored left edge, which is dark, is the top.
    expect(image).toMatchObject({ width: 4, height: 8 });
    expect(image.data[0]!).toBeLessThan(image.data[7 * 4 * 3]!);
    expect([...image.data]).toEqual([...(await readImageFile(join(folder, "a.jpg"))).data]);
  });
  it.each([
    [5, 5, 6],
    [8, 4, 3],
    [8, 4, 2],
  ])(
    "notes a photo of %dx%d pixels whose size doesn't tell its turn (orientation %d)",
    async (width, height, orientation) => {
      const folder = temporaryFolder();
      await photo(join(folder, "a.jpg"), { width, height, orientation });
      const annotations = await annotate(folder, [{ file_name: "a.jpg", width, height }]);
      for (const read of ["stored", "exif"] as const) {
        const { notes } = await cocoDatasetFromFiles({ images: folder, annotations, orientation: read });
        expect(notes.filter(({ kind }) => kind === "photo that EXIF says is turned")).toMatchObject([
          {
            severity: "note",
            count: 1,
            examples: [
              expect.stringContaining(
                `a.jpg: EXIF says that it is turned or mirrored (orientation ${orientation}); it is read ${read === "stored" ? "as it is stored" : "upright"}`,
              ),
            ],
          },
        ]);
      }
    },
  );
  it("says nothing of upright photos, and of those whose size shows that they are read rightly", async () => {
    const folder = temporaryFolder();
    await photo(join(folder, "a.jpg"), { width: 8, height: 4, orientation: 1 });
    await photo(join(folder, "b.jpg"), { width: 8, height: 4, orientation: 6 });
    const annotations = await annotate(folder, [
      { file_name: "a.jpg", width: 8, height: 4 },
      { file_name: "b.jpg", width: 8, height: 4 },
    ]);
    expect(
      (await cocoDatasetFromFiles({ images: folder, annotations })).notes.filter(({ kind }) =>
        kind.startsWith("photo"),
      ),
    ).toEqual([]);
  });
  it("looks all pictures over by their headers, in their order: those missing, unreadable, of another size, and turned", async () => {
    const folder = temporaryFolder();
    await photo(join(folder, "upright.jpg"), { width: 8, height: 4, orientation: 1 });
    await photo(join(folder, "turned.jpg"), { width: 8, height: 4, orientation: 8 });
    await photo(join(folder, "square.jpg"), { width: 4, height: 4, orientation: 6 });
    await photo(join(folder, "over.jpg"), { width: 8, height: 4, orientation: 3 });
    await writeFile(join(folder, "text.png"), "no picture");
    const images = [
      { file_name: "upright.jpg", width: 8, height: 4 },
      { file_name: "upright.jpg", width: 4, height: 8 }, // without EXIF there is no other way up
      { file_name: "turned.jpg", width: 8, height: 4 },
      { file_name: "turned.jpg", width: 4, height: 8 },
      { file_name: "turned.jpg", width: 4, height: 4 },
      { file_name: "square.jpg", width: 4, height: 4 },
      { file_name: "over.jpg", width: 8, height: 4 },
      { file_name: "text.png", width: 8, height: 4 },
      { file_name: "none.jpg", width: 8, height: 4 },
      { file_name: "UPRIGHT.jpg", width: 8, height: 4 },
      { file_name: "upright.jpg", width: Number.NaN, height: 4 }, // told by the rules for annotations
    ];
    const look = async (options: PictureReviewOptions = {}): Promise<unknown[]> => {
      const found = createFindingList();
      await reviewPictures(folder, images, found, options);
      return found
        .all()
        .map(({ kind, severity, examples }) => [
          severity,
          kind,
          ...examples.map((example) => example.split(/: E| \(/)[0]),
        ]);
    };
    const otherSizes = [
      "upright.jpg: the file has 8x4 pixels, annotated 4x8",
      "turned.jpg: the file has 8x4 pixels, annotated 4x4",
    ];
    const common = [
      [
        "error",
        "image that can't be read",
        expect.stringContaining(`${join(folder, "text.png")}: the image can't be read: `),
      ],
      ["error", "image file that is missing", `${join(folder, "none.jpg")}: the image is missing`],
      [
        "error",
        "image file that has another name",
        `${join(folder, "UPRIGHT.jpg")}: the image is missing, but ${join(folder, "upright.jpg")} is there, which differs in letter case`,
      ],
      ["note", "photo that EXIF says is turned", "square.jpg", "over.jpg"],
    ];
    expect(await look()).toEqual([
      ["error", "image of another size than its annotation says", ...otherSizes],
      ["error", "photo that EXIF says is turned", "turned.jpg"],
      ...common,
    ]);
    const upright = await look({ orientation: "exif" });
    expect(upright).toEqual([
      ["error", "image of another size than its annotation says", ...otherSizes],
      ["error", "photo that EXIF says is turned", "turned.jpg"],
      ...common,
    ]);
  });
  it.each(["jpeg", "png", "webp", "tiff", "avif"] as const)(
    "expects of a turned %s the size that reading it gives, either way up",
    async (format) => {
      const folder = temporaryFolder();
      const name = `a.${format}`;
      const data = Uint8Array.from({ length: 64 * 32 * 3 }, (_, i) => i % 251);
      await sharp(data, { raw: { width: 64, height: 32, channels: 3 } })
        .withMetadata({ orientation: 6 })
        [format]()
        .toFile(join(folder, name));
      for (const orientation of ["stored", "exif"] as const) {
        const { width, height } = await readImageFile(join(folder, name), { orient: orientation === "exif" });
        for (const [size, count] of [
          [{ width, height }, 0],
          [{ width: height, height: width }, 1],
        ] as const) {
          const found = createFindingList();
          await reviewPictures(folder, [{ file_name: name, ...size }], found, { orientation });
          expect(found.all()).toHaveLength(count);
        }
      }
    },
  );
  it("finds a picture that is cut by its pixels alone", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "a.jpg");
    await photo(path, { width: 400, height: 300, orientation: 1 });
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length / 2));
    for (const [read, examples] of [
      ["headers", []],
      ["pixels", [expect.stringContaining(`${path}: the image can't be read`)]],
    ] as const) {
      const found = createFindingList();
      await reviewPictures(folder, [{ file_name: "a.jpg", width: 400, height: 300 }], found, { read });
      expect(found.all().flatMap((finding) => finding.examples)).toEqual(examples);
    }
  });
  it("is told how many have been looked at, and looks at none that have been before", async () => {
    const folder = temporaryFolder();
    await photo(join(folder, "a.jpg"), { width: 8, height: 4, orientation: 1 });
    const annotations = await annotate(
      folder,
      Array.from({ length: 9 }, () => ({ file_name: "a.jpg", width: 8, height: 4 })),
    );
    const told: number[] = [];
    await openDataset({ kind: "coco", images: folder, annotations }, { onImage: (done) => told.push(done) });
    expect(told).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await rm(join(folder, "a.jpg"));
    const dataset = await openDataset(
      { kind: "coco", images: folder, annotations, pictures: "unread" },
      { onImage: (done) => told.push(done) },
    );
    expect(told).toHaveLength(9);
    await expect(dataset.get(0)).rejects.toThrow(
      `${join(folder, "a.jpg")}: the image is missing. Look whether the folder of the images is the right one.`,
    );
  });

  it("reads samples through until so many pixels are read, or one can't be", async () => {
    const got: number[] = [];
    const of = (length: number, bad?: number) => ({
      length,
      get: async (index: number) => {
        got.push(index);
        if (index === bad) throw new Error(`sample ${index}`);
        return { image: { width: 10, height: 10 } } as Sample;
      },
    });
    const told: number[] = [];
    expect(await readThrough(of(9), { maxPixels: 1e9, onImage: (done) => told.push(done) })).toBe(9);
    expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(told).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // Four are read at a time.
    const read = await readThrough(of(100), { maxPixels: 1000 });
    expect(read).toBeGreaterThanOrEqual(10);
    expect(read).toBeLessThanOrEqual(13);
    await expect(readThrough(of(100, 6), { maxPixels: 1e9 })).rejects.toThrow("sample 6");
    await expect(readThrough(of(100, 60), { maxPixels: 1000 })).resolves.toBeLessThan(14);
  });
  it("bounds the pixels of images and masks before any work", async () => {
    const folder = temporaryFolder();
    await photo(join(folder, "a.jpg"), { width: 8, height: 4, orientation: 1 });
    const annotations = join(folder, "gt.json");
    const write = (width: number, height: number, count: number): Promise<void> =>
      writeFile(
        annotations,
        JSON.stringify({
          images: [{ id: 1, file_name: "a.jpg", width, height }],
          categories,
          annotations: Array.from({ length: count }, (_, i) => ({
            ...box,
            id: i + 1,
            segmentation: [[0, 0, width, 0, width, height, 0, height]],
          })),
        }),
      );
    await write(60_000, 60_000, 1);
    await expect(cocoDatasetFromFiles({ images: folder, annotations })).rejects.toThrow(
      `${annotations}: image 1 ("a.jpg"): has 60000x60000 pixels, more than the limit of 178956970 in all.`,
    );
    await write(13_000, 13_000, 4);
    await expect(cocoDatasetFromFiles({ images: folder, annotations })).rejects.toThrow(
      `${annotations}: image 1 ("a.jpg"): the boxes of its masks have 676000000 pixels in all, more than 536870910.`,
    );
    await write(13_000, 13_000, 3);
    await expect(cocoDatasetFromFiles({ images: folder, annotations })).rejects.toThrow(
      "a.jpg: the file has 8x4 pixels, annotated 13000x13000. Correct the annotations, or replace the image.",
    );
    await expect(
      (await cocoDatasetFromFiles({ images: folder, annotations, pictures: "later" })).get(0),
    ).rejects.toThrow("a.jpg: the file has 8x4 pixels");
    await write(8, 4, 4);
    expect(
      (await (await cocoDatasetFromFiles({ images: folder, annotations, maxPixels: 43 })).get(0)).groundTruth
        .masks,
    ).toHaveLength(4);
    await expect(cocoDatasetFromFiles({ images: folder, annotations, maxPixels: 31 })).rejects.toThrow(
      "has 8x4 pixels, more than the limit of 31 in all. Write the size of its file, or cut the image into pieces. Or raise maxPixels",
    );
    await expect(cocoDatasetFromFiles({ images: folder, annotations, maxPixels: 42 })).rejects.toThrow(
      "have 128 pixels in all, more than 126",
    );
  });
});
