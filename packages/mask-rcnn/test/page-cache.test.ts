import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { createRandom } from "@mrcnn/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { downloadInPage, forgetInPage, isCachedInPage } from "../src/page-cache.ts";
import type { DownloadProgress } from "../src/transfer.ts";
import { sendFile, serve } from "./file-server.ts";

const random = createRandom(9);
const content = Uint8Array.from({ length: 200_000 }, () => random.int(256));
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const quick = { backoffMs: 5, retries: 2 };

/** Cache Storage as far as it is used. */
function fakeCaches({ isFull = false } = {}): {
  caches: Pick<CacheStorage, "open">;
  kept: Map<string, Response>;
} {
  const kept = new Map<string, Response>();
  const cache = {
    match: async (url: string) => kept.get(url)?.clone(),
    put: async (url: string, response: Response) => {
      if (isFull) throw new DOMException("no room", "QuotaExceededError");
      kept.set(url, response);
    },
    delete: async (url: string) => kept.delete(url),
  };
  return { caches: { open: async () => cache as unknown as Cache }, kept };
}

let kept: Map<string, Response>;
beforeEach(() => {
  const fake = fakeCaches();
  kept = fake.kept;
  vi.stubGlobal("caches", fake.caches);
});
afterEach(() => vi.unstubAllGlobals());

describe("a download in a page", () => {
  it("goes on where it was cut, is kept, and is not repeated", async () => {
    const server = await serve((request, response, count) =>
      sendFile(request, response, content, { cut: count < 2 ? 60_000 : Infinity }),
    );
    const url = `${server.url}/w.pth`;
    const seen: DownloadProgress[] = [];
    expect(sha256(await downloadInPage(url, undefined, { ...quick, onProgress: (p) => seen.push(p) }))).toBe(
      sha256(content),
    );
    expect(seen.at(-1)).toMatchObject({ bytes: content.length, total: content.length });
    expect(server.requests.slice(1).every(({ range }) => range !== undefined)).toBe(true);
    const before = server.requests.length;
    expect(await isCachedInPage(url)).toBe(true);
    expect(sha256(await downloadInPage(url, undefined, { offline: true }))).toBe(sha256(content));
    expect(server.requests).toHaveLength(before);
    await forgetInPage(url);
    expect(await isCachedInPage(url)).toBe(false);
    await expect(downloadInPage(url, undefined, { offline: true })).rejects.toThrow(
      /is not in the page's cache/,
    );
  });

  it("goes on where it was stopped, in another visit too", async () => {
    const server = await serve((request, response) => sendFile(request, response, content));
    const url = `${server.url}/w.pth`;
    const controller = new AbortController();
    const stopped = downloadInPage(url, undefined, {
      ...quick,
      signal: controller.signal,
      onProgress: ({ bytes }) => bytes > 0 && controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expect(await isCachedInPage(url)).toBe(false);
    const [part] = kept.values();
    const came = Number(part!.headers.get("content-length"));
    expect(came).toBeGreaterThan(0);
    expect(sha256(await downloadInPage(url, undefined, quick))).toBe(sha256(content));
    expect(server.requests.at(-1)!.range).toBe(`bytes=${came}-`);
    expect([...kept.keys()]).toEqual([url]);
    // The file has changed meanwhile: what was kept is of no use.
    await forgetInPage(url);
    kept.set(`${url}?mrcnn-part`, new Response(new Uint8Array(7), { headers: { "x-validator": '"older"' } }));
    expect(sha256(await downloadInPage(url, undefined, quick))).toBe(sha256(content));
    await forgetInPage(url);
    expect(kept.size).toBe(0);
  });

  it("asks another origin for no parts, as that needs its leave", async () => {
    vi.stubGlobal("location", new URL("https://page.example/"));
    const server = await serve((request, response, count) =>
      sendFile(request, response, content, { cut: count < 1 ? 60_000 : Infinity }),
    );
    expect(sha256(await downloadInPage(`${server.url}/w.pth`, undefined, quick))).toBe(sha256(content));
    expect(server.requests.every(({ range }) => range === undefined)).toBe(true);
  });

  it("is whole when another origin's server compresses, which a page can't see", async () => {
    vi.stubGlobal("location", new URL("https://page.example/"));
    const text = Buffer.from("weights ".repeat(1000));
    const packed = gzipSync(text);
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-length": packed.length, "content-encoding": "gzip" });
      response.end(packed);
    });
    // As CORS shows it: the length, but not the encoding.
    const hiding: typeof fetch = async (url, init) => {
      const response = await fetch(url, init);
      return new Response(response.body, { headers: { "content-length": String(packed.length) } });
    };
    expect(
      Buffer.from(await downloadInPage(`${server.url}/w.bin`, undefined, { ...quick, fetch: hiding })).equals(
        text,
      ),
    ).toBe(true);
  });

  it("is checked by its published hash, and on every use", async () => {
    const server = await serve((request, response) => sendFile(request, response, content));
    const url = `${server.url}/w.pth`;
    const prefix = createHash("sha256").update(content).digest("hex").slice(0, 8);
    await expect(downloadInPage(url, { algorithm: "sha256", prefix: "00000000" }, quick)).rejects.toThrow(
      `must begin with 00000000, got ${prefix}`,
    );
    expect(kept.size).toBe(0);
    await downloadInPage(url, { algorithm: "sha256", prefix }, quick);
    kept.set(url, new Response(content.subarray(1), { headers: kept.get(url)!.headers }));
    expect(sha256(await downloadInPage(url, { algorithm: "sha256", prefix }, quick))).toBe(sha256(content));
    expect(server.requests).toHaveLength(3);
  });

  it("is replaced when it is another than the published one, whatever stands beside it", async () => {
    const server = await serve((request, response) => sendFile(request, response, content));
    const url = `${server.url}/w.pth`;
    const checksum = { algorithm: "sha256", prefix: sha256(content).slice(0, 8) } as const;
    for (const wrong of [content.slice(0, 900), new Uint8Array(content.length)]) {
      kept.set(
        url,
        new Response(wrong, {
          headers: { "content-length": String(wrong.length), "x-sha256": sha256(wrong) },
        }),
      );
      await expect(downloadInPage(url, checksum, { offline: true })).rejects.toThrow(
        /is damaged in the page's cache/,
      );
      expect(sha256(await downloadInPage(url, checksum, quick))).toBe(sha256(content));
      expect(sha256(await downloadInPage(url, checksum, { offline: true }))).toBe(sha256(content));
    }
  });

  it("must stay what came first where nothing that a page can compute is published", async () => {
    let now = content;
    const server = await serve((request, response) =>
      sendFile(request, response, now, { etag: `"${sha256(now).slice(0, 8)}"` }),
    );
    for (const [name, checksum] of [
      ["w.h5", undefined],
      ["w.pkl", { algorithm: "md5", prefix: "000000" }],
    ] as const) {
      const url = `${server.url}/${name}`;
      now = content;
      await downloadInPage(url, checksum, quick);
      const { headers } = kept.get(url)!;
      kept.set(url, new Response(content.slice(7), { headers }));
      now = content.slice(9);
      const refused = `${url}: its sha256 must be that of the first download, ${sha256(content)}, got ${sha256(now)}.`;
      // Twice: what was refused has not become the first.
      await expect(downloadInPage(url, checksum, quick)).rejects.toThrow(refused);
      await expect(downloadInPage(url, checksum, quick)).rejects.toThrow(refused);
      expect(sha256(await downloadInPage(url, checksum, { ...quick, redownload: true }))).toBe(sha256(now));
    }
  });

  it("begins anew when what a stopped download left is damaged", async () => {
    const server = await serve((request, response) => sendFile(request, response, content));
    const url = `${server.url}/w.pth`;
    // Shorter than it was; and as long, but of other bytes, which the published hash tells.
    kept.set(
      `${url}?mrcnn-part`,
      new Response(content.slice(0, 50), { headers: { "content-length": "900", "x-validator": '"one"' } }),
    );
    expect(sha256(await downloadInPage(url, undefined, quick))).toBe(sha256(content));
    await forgetInPage(url);
    kept.set(
      `${url}?mrcnn-part`,
      new Response(new Uint8Array(900), { headers: { "content-length": "900", "x-validator": '"one"' } }),
    );
    expect(
      sha256(await downloadInPage(url, { algorithm: "sha256", prefix: sha256(content).slice(0, 8) }, quick)),
    ).toBe(sha256(content));
    expect(server.requests.map(({ range }) => range)).toEqual([undefined, "bytes=900-", undefined]);
  });

  it("does without a cache, and without room in it", async () => {
    const server = await serve((request, response) => sendFile(request, response, content));
    vi.stubGlobal("caches", fakeCaches({ isFull: true }).caches);
    expect(sha256(await downloadInPage(`${server.url}/w.pth`, undefined, quick))).toBe(sha256(content));
    vi.stubGlobal("caches", undefined);
    expect(sha256(await downloadInPage(`${server.url}/w.pth`, undefined, quick))).toBe(sha256(content));
    expect(server.requests).toHaveLength(2);
  });

  it("brings a file whose length is not said, and stops when told", async () => {
    const server = await serve((_, response) => {
      response.writeHead(200);
      response.end(content);
    });
    expect(sha256(await downloadInPage(`${server.url}/w.pth`, undefined, quick))).toBe(sha256(content));
    const controller = new AbortController();
    const stopped = downloadInPage(`${server.url}/v.pth`, undefined, {
      ...quick,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expect(kept.has(`${server.url}/v.pth`)).toBe(false);
  });
});
