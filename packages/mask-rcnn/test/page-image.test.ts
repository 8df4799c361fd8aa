import { afterEach, describe, expect, it, vi } from "vitest";
import { readPageImage } from "../src/page-image.ts";
import type { PageImage } from "../src/page-image.ts";

// Two pixels: half transparent orange, and blue.
const rgba = Uint8ClampedArray.of(255, 128, 0, 128, 0, 0, 255, 255);
const rgb = { width: 2, height: 1, data: Uint8Array.of(255, 128, 0, 0, 0, 255) };

/** A browser's canvas that shows those pixels, whatever is drawn. */
function stubCanvas({ isTainted = false } = {}): object[] {
  const drawn: object[] = [];
  class FakeCanvas {
    width: number;
    height: number;
    constructor(width: number, height: number) {
      [this.width, this.height] = [width, height];
    }
    getContext(kind: string): object | null {
      if (kind !== "2d") return null;
      return {
        drawImage: (image: object, x: number, y: number, width: number, height: number) =>
          drawn.push({ image, x, y, width, height }),
        getImageData: (_x: number, _y: number, width: number, height: number) => {
          if (isTainted) throw new DOMException("tainted", "SecurityError");
          return { data: rgba, width, height };
        },
      };
    }
  }
  vi.stubGlobal("OffscreenCanvas", FakeCanvas);
  return drawn;
}
const bitmap = { width: 2, height: 1, close: vi.fn() };
const stubBitmap = (make: () => Promise<object> = async () => bitmap): ReturnType<typeof vi.fn> => {
  const fake = vi.fn(make);
  vi.stubGlobal("createImageBitmap", fake);
  return fake;
};
afterEach(() => {
  vi.unstubAllGlobals();
  vi.clearAllMocks();
});

describe("an image of a page", () => {
  it("may be pixels already", async () => {
    expect(await readPageImage(rgb)).toBe(rgb);
    expect(await readPageImage({ data: rgba, width: 2, height: 1, colorSpace: "srgb" } as ImageData)).toEqual(
      rgb,
    );
  });

  it("may be a file, which is turned upright and let go of", async () => {
    stubCanvas();
    const make = stubBitmap();
    expect(await readPageImage(new Blob(["jpeg"]))).toEqual(rgb);
    expect(make.mock.calls[0]![1]).toMatchObject({ imageOrientation: "from-image" });
    expect(bitmap.close).toHaveBeenCalledOnce();
    stubBitmap(async () => Promise.reject(new Error("bad")));
    await expect(readPageImage(new Blob(["text"]))).rejects.toThrow(
      /image: the image can't be decoded \(bad\)/,
    );
  });

  it("may be a URL", async () => {
    stubCanvas();
    stubBitmap();
    vi.stubGlobal("fetch", async (url: string) =>
      url.endsWith("a.jpg") ? new Response("jpeg") : new Response("", { status: 404 }),
    );
    expect(await readPageImage("a.jpg")).toEqual(rgb);
    await expect(readPageImage("b.jpg")).rejects.toThrow(
      "b.jpg: the image can't be fetched: the server answers 404",
    );
    vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(readPageImage(new URL("https://elsewhere/c.jpg"))).rejects.toThrow(/allow it \(CORS\)/);
  });

  it.each<[string, object]>([
    [
      "an image element",
      { naturalWidth: 2, naturalHeight: 1, width: 20, height: 10, decode: async () => {} },
    ],
    ["a video", { videoWidth: 2, videoHeight: 1, width: 640, height: 480 }],
    ["a video's frame", { displayWidth: 2, displayHeight: 1, codedWidth: 4 }],
    ["a canvas", { width: 2, height: 1, getContext: () => {} }],
  ])("may be %s, at its own size", async (_, element) => {
    const drawn = stubCanvas();
    expect(await readPageImage(element as PageImage)).toEqual(rgb);
    expect(drawn).toEqual([{ image: element, x: 0, y: 0, width: 2, height: 1 }]);
  });

  it("must be something that shows, and that may be read", async () => {
    stubCanvas({ isTainted: true });
    await expect(readPageImage({ width: 2, height: 1 } as HTMLCanvasElement)).rejects.toThrow(
      /from another origin/,
    );
    await expect(readPageImage({ videoWidth: 0, videoHeight: 0 } as HTMLVideoElement)).rejects.toThrow(
      /has no pixels/,
    );
    await expect(
      readPageImage({
        naturalWidth: 0,
        naturalHeight: 0,
        src: "x.png",
        decode: () => Promise.reject(new Error("broken")),
      } as unknown as HTMLImageElement),
    ).rejects.toThrow(/x\.png can't be decoded/);
    await expect(readPageImage({} as HTMLCanvasElement)).rejects.toThrow(/must be \{ data: RGB bytes/);
  });
});
