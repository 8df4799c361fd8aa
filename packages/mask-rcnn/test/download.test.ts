import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { createRandom } from "@mrcnn/core";
import { cachedPath, cacheFolder } from "../src/cache-folder.ts";
import { downloadFile, forget, isCached } from "../src/download.ts";
import type { DownloadOptions } from "../src/download.ts";
import { nodeFetch } from "../src/node-fetch.ts";
import type { DownloadProgress } from "../src/transfer.ts";
import { sendFile, serve } from "./file-server.ts";

const root = mkdtempSync(join(tmpdir(), "mrcnn-download-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let caches = 0;
const emptyCache = (): string => join(root, `cache-${caches++}`);

const random = createRandom(5);
const randomBytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.int(256));
const content = randomBytes(300_000);
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

// Quick enough for a test.
const quick = (cacheDir: string, more: DownloadOptions = {}): DownloadOptions => ({
  cacheDir,
  backoffMs: 5,
  retries: 2,
  ...more,
});
const filesIn = (cacheDir: string): string[] =>
  existsSync(join(cacheDir, "weights")) ? readdirSync(join(cacheDir, "weights")) : [];

/** The file is not there under its name, whatever is kept of it. */
function expectNothing(url: string, cacheDir: string): void {
  expect(existsSync(cachedPath(url, { cacheDir }))).toBe(false);
}

/** The whole file is there, with its record, and nothing else. */
function expectWhole(url: string, cacheDir: string, bytes: Uint8Array = content): void {
  const path = cachedPath(url, { cacheDir });
  expect(Buffer.compare(readFileSync(path), bytes)).toBe(0);
  expect(JSON.parse(readFileSync(`${path}.json`, "utf8"))).toEqual({
    url,
    sha256: sha256(bytes),
    bytes: bytes.length,
  });
  expect(filesIn(cacheDir)).toHaveLength(2);
}

describe("a download", () => {
  it("brings the file, says how far it is, and is not repeated", async () => {
    const server = await serve((request, response) => sendFile(request, response, content));
    const url = `${server.url}/a/weights.pth`;
    const cacheDir = emptyCache();
    const seen: DownloadProgress[] = [];
    expect(await isCached(url, { cacheDir })).toBe(false);
    const first = await downloadFile({ url }, quick(cacheDir, { onProgress: (p) => seen.push(p) }));
    expect(first).toEqual({
      path: cachedPath(url, { cacheDir }),
      bytes: content.length,
      sha256: sha256(content),
      downloaded: true,
      checkedBy: "first download",
    });
    expectWhole(url, cacheDir);
    expect(seen[0]).toMatchObject({ url, bytes: 0, total: content.length });
    expect(seen.at(-1)).toMatchObject({ bytes: content.length, total: content.length });
    expect(seen.every((p, i) => i === 0 || p.bytes > seen[i - 1]!.bytes)).toBe(true);

    expect(await isCached(url, { cacheDir })).toBe(true);
    expect(await downloadFile({ url }, quick(cacheDir, { offline: true }))).toEqual({
      ...first,
      downloaded: false,
    });
    expect(server.requests).toHaveLength(1);
    await downloadFile({ url }, quick(cacheDir, { redownload: true }));
    expect(server.requests).toHaveLength(2);
    await forget(url, { cacheDir });
    expect(filesIn(cacheDir)).toEqual([]);
  });

  it("goes on where it was cut, at random places, and is the same to the byte", async () => {
    for (let round = 0; round < 10; round++) {
      const cuts = Array.from({ length: 5 }, () => 1 + random.int(120_000));
      const server = await serve((request, response, count) =>
        sendFile(request, response, content, { cut: cuts[count] ?? Infinity }),
      );
      const url = `${server.url}/weights.pth`;
      const cacheDir = emptyCache();
      await downloadFile(
        { url, checksum: { algorithm: "sha256", prefix: sha256(content).slice(0, 8) } },
        quick(cacheDir),
      );
      expectWhole(url, cacheDir);
      expect(server.requests.length).toBeGreaterThan(1);
      let at = 0;
      for (const [i, { range, ifRange }] of server.requests.entries()) {
        // What of a cut part arrives before the break is up to the network, so a place is a bound.
        const from = Number(/^bytes=(\d+)-$/.exec(range ?? "bytes=0-")![1]);
        expect(from).toBeGreaterThanOrEqual(at === 0 ? 0 : 1);
        expect(from).toBeLessThanOrEqual(at);
        expect(ifRange).toBe(from === 0 ? undefined : '"one"');
        at = from + (cuts[i] ?? 0);
      }
      // Never more than once the whole.
      expect(server.requests.filter(({ range }) => range === undefined).length).toBe(1);
    }
  });

  /** Cuts the first transfer after 100000 bytes and refuses the second; later ones are whole. */
  const cutOnce = (bytes = content): ReturnType<typeof serve> =>
    serve((request, response, count) =>
      count === 1 ?
        response.writeHead(403).end()
      : sendFile(request, response, bytes, { cut: count === 0 ? 100_000 : Infinity }),
    );

  /** Leaves what a cut download leaves, and returns its folder. */
  async function leavePart(url: string, cacheDir: string): Promise<string> {
    await expect(downloadFile({ url }, quick(cacheDir))).rejects.toThrow(/answers 403/);
    expectNothing(url, cacheDir);
    expect(filesIn(cacheDir)).toEqual([expect.stringMatching(/\.partial$/)]);
    return join(cacheDir, "weights", filesIn(cacheDir)[0]!);
  }

  it("goes on another time", async () => {
    const server = await cutOnce();
    const url = `${server.url}/weights.pth`;
    const cacheDir = emptyCache();
    const { size } = statSync(join(await leavePart(url, cacheDir), "data"));
    expect(size).toBeGreaterThan(0);
    await downloadFile({ url }, quick(cacheDir));
    expectWhole(url, cacheDir);
    expect(server.requests[2]).toMatchObject({ range: `bytes=${size}-`, ifRange: '"one"' });
  });

  it("takes up what a process left that was killed, and of another machine only what is old", async () => {
    const dead = spawnSync(process.execPath, ["-e", ""]).pid;
    const here = hostname()
      .replaceAll(/[^A-Za-z0-9]/g, "")
      .slice(0, 20);
    for (const [owner, isTaken] of [
      [`${here}-${dead}`, true],
      [`${here}-${process.ppid}`, false],
      [`elsewhere-${dead}`, false],
    ] as const) {
      const server = await cutOnce();
      const url = `${server.url}/weights.pth`;
      const cacheDir = emptyCache();
      const part = await leavePart(url, cacheDir);
      renameSync(part, `${part}.${owner}-0a1b2c3d`);
      // Another dead one, of which nothing can be made any more.
      mkdirSync(`${part}.${here}-${dead}-ffffffff`);
      await downloadFile({ url }, quick(cacheDir));
      expect(server.requests[2]!.range === undefined).toBe(!isTaken);
      expect(Buffer.compare(readFileSync(cachedPath(url, { cacheDir })), content)).toBe(0);
      expect(filesIn(cacheDir)).toHaveLength(isTaken ? 2 : 3);
    }
  });

  it("takes a file that was already whole when its process died", async () => {
    const server = await cutOnce();
    const url = `${server.url}/weights.pth`;
    const cacheDir = emptyCache();
    writeFileSync(join(await leavePart(url, cacheDir), "data"), content);
    await downloadFile({ url }, quick(cacheDir));
    expect(server.requests[2]!.range).toBe("bytes=300000-");
    expectWhole(url, cacheDir);
  });

  it.each<[string, (part: string) => void]>([
    ["zeros for a state", (part) => writeFileSync(join(part, "state.json"), Buffer.alloc(120))],
    [
      "half a state",
      (part) =>
        writeFileSync(join(part, "state.json"), readFileSync(join(part, "state.json")).subarray(0, 20)),
    ],
    ["a state of null", (part) => writeFileSync(join(part, "state.json"), "null")],
    ["a state that is a list", (part) => writeFileSync(join(part, "state.json"), "[1, 2]")],
    [
      "a state whose fields are no text",
      (part) =>
        writeFileSync(
          join(part, "state.json"),
          readFileSync(join(part, "state.json"), "utf8").replace(/"validator":.*/, '"validator":{"a":1}}'),
        ),
    ],
    [
      "a validator that no request can carry",
      (part) =>
        writeFileSync(
          join(part, "state.json"),
          readFileSync(join(part, "state.json"), "utf8").replace(
            /"validator":.*/,
            '"validator":"\\u0000\\n"}',
          ),
        ),
    ],
    [
      "a folder for a state",
      (part) => (rmSync(join(part, "state.json")), mkdirSync(join(part, "state.json"))),
    ],
    ["a folder for data", (part) => (rmSync(join(part, "data")), mkdirSync(join(part, "data")))],
    [
      "a file for its folder",
      (part) => (rmSync(part, { recursive: true }), writeFileSync(part, Buffer.alloc(50))),
    ],
  ])("begins anew after %s", async (_, damage) => {
    const server = await cutOnce();
    const url = `${server.url}/weights.pth`;
    const cacheDir = emptyCache();
    damage(await leavePart(url, cacheDir));
    await downloadFile({ url }, quick(cacheDir));
    expectWhole(url, cacheDir);
    expect(server.requests[2]!.range).toBeUndefined();
  });

  it("goes on before the zeros that a power cut leaves at the end", async () => {
    const server = await cutOnce();
    const url = `${server.url}/weights.pth`;
    const cacheDir = emptyCache();
    const data = join(await leavePart(url, cacheDir), "data");
    const bytes = readFileSync(data);
    writeFileSync(data, bytes.fill(0, 20_000));
    await downloadFile({ url }, quick(cacheDir));
    const from = Number(/\d+/.exec(server.requests[2]!.range!)![0]);
    expect(from).toBeLessThanOrEqual(20_000);
    expect(from).toBeGreaterThan(19_990);
    expectWhole(url, cacheDir);
  });

  it("begins anew when the file has changed meanwhile", async () => {
    const other = randomBytes(250_000);
    const server = await serve((request, response, count) =>
      count === 0 ?
        sendFile(request, response, content, { cut: 100_000 })
      : sendFile(request, response, other, { etag: '"two"' }),
    );
    const url = `${server.url}/weights.pth`;
    const cacheDir = emptyCache();
    await downloadFile({ url }, quick(cacheDir));
    expectWhole(url, cacheDir, other);
  });

  it("begins anew when the server ignores ranges", async () => {
    const server = await serve((request, response, count) => {
      delete request.headers.range;
      delete request.headers["if-range"];
      sendFile(request, response, content, { cut: count === 0 ? 100_000 : Infinity });
    });
    const url = `${server.url}/weights.pth`;
    const cacheDir = emptyCache();
    await downloadFile({ url }, quick(cacheDir));
    expect(server.requests[1]!.range).toBeDefined();
    expectWhole(url, cacheDir);
  });

  it("does not go on without a strong validator", async () => {
    const server = await serve((request, response, count) =>
      sendFile(request, response, content, { etag: 'W/"weak"', cut: count === 0 ? 100_000 : Infinity }),
    );
    const url = `${server.url}/weights.pth`;
    const cacheDir = emptyCache();
    await downloadFile({ url }, quick(cacheDir));
    expect(server.requests.every(({ range }) => range === undefined)).toBe(true);
    expectWhole(url, cacheDir);
  });

  it.each<[string, Record<string, string | number>, number]>([
    ["from another place", { "content-range": "bytes 5-299999/300000" }, 206],
    ["without a place", {}, 206],
    ["of another version", { "content-range": "bytes FROM-299999/300000", etag: '"two"' }, 206],
    ["beyond the end", { "content-range": "bytes */10" }, 416],
  ])("begins anew after a part %s", async (_, headers, status) => {
    const server = await serve((request, response, count) => {
      if (count !== 1) return sendFile(request, response, content, { cut: count === 0 ? 100_000 : Infinity });
      const from = /\d+/.exec(request.headers.range!)![0];
      response.writeHead(
        status,
        Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, String(v).replace("FROM", from)])),
      );
      response.end(content.subarray(Number(from)));
    });
    const url = `${server.url}/weights.pth`;
    const cacheDir = emptyCache();
    await downloadFile({ url }, quick(cacheDir));
    expect(server.requests.map(({ range }) => range !== undefined)).toEqual([false, true, false]);
    expectWhole(url, cacheDir);
  });

  it("follows redirects, and says when they go in a circle", async () => {
    const server = await serve((request, response) => {
      if (request.url === "/old.pth") response.writeHead(302, { location: "/older.pth" }).end();
      else if (request.url === "/older.pth") response.writeHead(307, { location: "/new.pth" }).end();
      else if (request.url === "/circle.pth") response.writeHead(302, { location: "/circle.pth" }).end();
      else sendFile(request, response, content);
    });
    const cacheDir = emptyCache();
    await downloadFile({ url: `${server.url}/old.pth` }, quick(cacheDir));
    expectWhole(`${server.url}/old.pth`, cacheDir);
    const before = server.requests.length;
    await expect(downloadFile({ url: `${server.url}/circle.pth` }, quick(cacheDir))).rejects.toThrow(
      /circle\.pth: the server redirects in a circle/,
    );
    expect(server.requests.length - before).toBeLessThan(30);
    expectNothing(`${server.url}/circle.pth`, cacheDir);
  });

  it("tries again after 503, and keeps the pauses a server asks for", async () => {
    const server = await serve((request, response, count) =>
      count < 2 ?
        response.writeHead(503, { "retry-after": "0" }).end()
      : sendFile(request, response, content),
    );
    const cacheDir = emptyCache();
    await downloadFile({ url: `${server.url}/w.pth` }, quick(cacheDir));
    expectWhole(`${server.url}/w.pth`, cacheDir);
    expect(server.requests).toHaveLength(3);
  });

  it.each<[number, RegExp, number]>([
    [404, /w\.pth: the server answers 404 Not Found\. The file is gone or the URL is wrong\./, 1],
    [403, /answers 403 Forbidden\. It needs rights/, 1],
    [500, /answers 500 Internal Server Error\. 3 tries did not get it/, 3],
  ])("gives up on %s", async (status, message, requests) => {
    const server = await serve((_, response) => response.writeHead(status).end("no"));
    const cacheDir = emptyCache();
    await expect(downloadFile({ url: `${server.url}/w.pth` }, quick(cacheDir))).rejects.toThrow(message);
    expect(server.requests).toHaveLength(requests);
    expect(filesIn(cacheDir)).toEqual([]);
  });

  it.each<[string, Record<string, string>, string]>([
    ["by its type", { "content-type": "text/html; charset=utf-8" }, "Sign in"],
    [
      "by its beginning",
      { "content-type": "application/octet-stream" },
      "\n <!DOCTYPE html><html><body>Sign in</body></html>",
    ],
    ["as XML", {}, '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'],
  ])("knows a page %s", async (_, headers, text) => {
    const server = await serve((__, response) => response.writeHead(200, headers).end(text));
    const cacheDir = emptyCache();
    await expect(downloadFile({ url: `${server.url}/w.pth` }, quick(cacheDir))).rejects.toThrow(
      /the server sent a web page instead of weights/,
    );
    expect(filesIn(cacheDir)).toEqual([]);
  });

  it("refuses an empty file", async () => {
    const server = await serve((_, response) => response.writeHead(200, { "content-length": 0 }).end());
    const cacheDir = emptyCache();
    await expect(downloadFile({ url: `${server.url}/w.pth` }, quick(cacheDir))).rejects.toThrow(
      /sent an empty file/,
    );
    expect(filesIn(cacheDir)).toEqual([]);
  });

  it("refuses a body shorter than its length", async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-length": 1000 });
      response.write("short", () => setTimeout(() => response.destroy(), 10));
    });
    const cacheDir = emptyCache();
    await expect(downloadFile({ url: `${server.url}/w.pth` }, quick(cacheDir))).rejects.toThrow(
      /of 1000 bytes/,
    );
    expectNothing(`${server.url}/w.pth`, cacheDir);
  });

  it("refuses a body longer than the file", async () => {
    // HTTP/1.1 itself ends a body at its length, so only a part can be too long.
    const server = await serve((request, response, count) => {
      if (count === 0) return sendFile(request, response, content, { cut: 100_000 });
      if (request.headers.range === undefined) return void response.writeHead(500).end();
      const from = Number(/\d+/.exec(request.headers.range)![0]);
      response.writeHead(206, { "content-range": `bytes ${from}-299999/300000`, etag: '"one"' }); // chunked
      response.end(Buffer.concat([content.subarray(from), Buffer.alloc(10)]));
    });
    const cacheDir = emptyCache();
    await expect(downloadFile({ url: `${server.url}/w.pth` }, quick(cacheDir))).rejects.toThrow(/500/);
    expectNothing(`${server.url}/w.pth`, cacheDir);
  });

  it("brings a file whose length is not said", async () => {
    const server = await serve((_, response) => {
      response.writeHead(200);
      response.end(content);
    });
    const cacheDir = emptyCache();
    await downloadFile({ url: `${server.url}/w.pth` }, quick(cacheDir));
    expectWhole(`${server.url}/w.pth`, cacheDir);
  });

  it("cuts a server that falls silent, and tries again", async () => {
    const server = await serve((request, response, count) => {
      if (count > 1) return sendFile(request, response, content);
      if (count === 1) return; // not even an answer
      response.writeHead(200, { "content-length": content.length, etag: '"one"' });
      response.write(content.subarray(0, 1000));
    });
    const cacheDir = emptyCache();
    await downloadFile({ url: `${server.url}/w.pth` }, quick(cacheDir, { idleMs: 200 }));
    expectWhole(`${server.url}/w.pth`, cacheDir);
    const silent = await serve(() => {});
    await expect(
      downloadFile({ url: `${silent.url}/w.pth` }, quick(cacheDir, { idleMs: 50, retries: 1 })),
    ).rejects.toThrow(/sent nothing for 0\.05 s\. 2 tries/);
  });

  it("says when the network is not there", async () => {
    await expect(
      downloadFile({ url: "http://127.0.0.1:9/w.pth" }, quick(emptyCache(), { retries: 0 })),
    ).rejects.toThrow(/can't be reached \(.+\)\. Check the network/);
  });

  it("stops when told, keeps what came, and goes on from there", async () => {
    const server = await serve((request, response, count) => {
      if (count > 0) return sendFile(request, response, content);
      response.writeHead(200, { "content-length": content.length, etag: '"one"' });
      response.write(content.subarray(0, 50_000));
    });
    const url = `${server.url}/w.pth`;
    const cacheDir = emptyCache();
    const controller = new AbortController();
    const stopped = downloadFile(
      { url },
      quick(cacheDir, {
        signal: controller.signal,
        onProgress: ({ bytes }) => bytes >= 50_000 && controller.abort(),
      }),
    );
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expectNothing(url, cacheDir);
    await downloadFile({ url }, quick(cacheDir));
    expect(server.requests[1]!.range).toBe("bytes=50000-");
    expectWhole(url, cacheDir);
    await expect(
      downloadFile({ url }, quick(cacheDir, { signal: AbortSignal.abort() })),
    ).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("what was published", () => {
  it.each(["sha256", "md5"] as const)("must agree with its %s", async (algorithm) => {
    const server = await serve((request, response) => sendFile(request, response, content));
    const url = `${server.url}/w.pth`;
    const cacheDir = emptyCache();
    const right = { algorithm, prefix: (algorithm === "md5" ? md5 : sha256)(content).slice(0, 6) };
    await expect(
      downloadFile({ url, checksum: { ...right, prefix: "000000" } }, quick(cacheDir)),
    ).rejects.toThrow(
      `${url}: its ${algorithm} must begin with 000000, got ${right.prefix}. It is not the file that was published`,
    );
    expect(filesIn(cacheDir)).toEqual([]);
    await downloadFile({ url, checksum: right }, quick(cacheDir));
    expectWhole(url, cacheDir);
  });

  it("is brought anew when a bad part was gone on from", async () => {
    const server = await serve((request, response, count) =>
      count === 1 ?
        response.writeHead(403).end()
      : sendFile(request, response, content, { cut: count === 0 ? 100_000 : Infinity }),
    );
    const url = `${server.url}/w.pth`;
    const cacheDir = emptyCache();
    const checksum = { algorithm: "sha256", prefix: sha256(content).slice(0, 8) } as const;
    await expect(downloadFile({ url, checksum }, quick(cacheDir))).rejects.toThrow(/403/);
    const data = join(cacheDir, "weights", filesIn(cacheDir)[0]!, "data");
    const bytes = readFileSync(data);
    bytes[10]! ^= 1;
    writeFileSync(data, bytes);
    await downloadFile({ url, checksum }, quick(cacheDir));
    expect(server.requests.map(({ range }) => range !== undefined)).toEqual([false, true, true, false]);
    expectWhole(url, cacheDir);
  });
});

describe("a cached file", () => {
  it("that has changed is downloaded anew; offline that is an error", async () => {
    const server = await serve((request, response) => sendFile(request, response, content));
    const url = `${server.url}/w.pth`;
    const cacheDir = emptyCache();
    const { path } = await downloadFile({ url }, quick(cacheDir));
    for (const damage of [(b: Buffer) => b.subarray(0, 1000), (b: Buffer) => (b.fill(0, 5, 6), b)]) {
      writeFileSync(path, damage(readFileSync(path)));
      await expect(downloadFile({ url }, quick(cacheDir, { offline: true }))).rejects.toThrow(
        /has changed since it was downloaded/,
      );
      expect((await downloadFile({ url }, quick(cacheDir))).downloaded).toBe(true);
      expectWhole(url, cacheDir);
    }
  });

  it.each(["sha256", "md5"] as const)(
    "that is another than the published one is replaced, whatever stands beside it (%s)",
    async (algorithm) => {
      const server = await serve((request, response) => sendFile(request, response, content));
      const url = `${server.url}/w.pth`;
      const cacheDir = emptyCache();
      const checksum = { algorithm, prefix: (algorithm === "md5" ? md5 : sha256)(content).slice(0, 6) };
      const { path, checkedBy } = await downloadFile({ url, checksum }, quick(cacheDir));
      expect(checkedBy).toBe("published checksum");
      const { atime, mtime } = statSync(path);
      for (const wrong of [randomBytes(1000), randomBytes(content.length), Buffer.alloc(content.length)]) {
        writeFileSync(path, wrong);
        utimesSync(path, atime, mtime);
        writeFileSync(`${path}.json`, JSON.stringify({ url, sha256: sha256(wrong), bytes: wrong.length }));
        await expect(downloadFile({ url, checksum }, quick(cacheDir, { offline: true }))).rejects.toThrow(
          /has changed since it was downloaded/,
        );
        expect((await downloadFile({ url, checksum }, quick(cacheDir))).downloaded).toBe(true);
        expectWhole(url, cacheDir);
      }
      // The right file beside a wrong record is the right file.
      for (const record of [
        "null",
        "\0\0\0",
        JSON.stringify({ sha256: 7 }),
        JSON.stringify({ url, sha256: sha256(Buffer.alloc(1)), bytes: 1 }),
      ]) {
        writeFileSync(`${path}.json`, record);
        expect((await downloadFile({ url, checksum }, quick(cacheDir, { offline: true }))).downloaded).toBe(
          false,
        );
        expectWhole(url, cacheDir);
      }
    },
  );

  it("of which nothing is published must stay the one that came first", async () => {
    const other = randomBytes(1000);
    let now: Uint8Array = content;
    const server = await serve((request, response) =>
      sendFile(request, response, now, { etag: `"${sha256(now).slice(0, 8)}"` }),
    );
    const url = `${server.url}/w.h5`;
    const cacheDir = emptyCache();
    const { path, checkedBy } = await downloadFile({ url }, quick(cacheDir));
    expect(checkedBy).toBe("first download");
    now = other;
    // The cached file is damaged, and what is there now is another.
    for (const damage of [
      () => writeFileSync(path, content.subarray(5)),
      () => rmSync(path),
      () => writeFileSync(path, other),
    ]) {
      damage();
      await expect(downloadFile({ url }, quick(cacheDir))).rejects.toThrow(
        `${url}: its sha256 must be that of the first download, ${sha256(content)}, got ${sha256(other)}. The file at this address has changed`,
      );
    }
    expect((await downloadFile({ url }, quick(cacheDir, { redownload: true }))).sha256).toBe(sha256(other));
    expectWhole(url, cacheDir, other);
    // A record that a power cut damaged vouches for nothing.
    writeFileSync(`${path}.json`, Buffer.alloc(90));
    expect((await downloadFile({ url }, quick(cacheDir))).downloaded).toBe(true);
    expectWhole(url, cacheDir, other);
  });

  it("that is missing offline is an error that says where to put it, and one put there is used", async () => {
    const cacheDir = emptyCache();
    const url = "https://example.invalid/w.pth";
    const checksum = { algorithm: "md5", prefix: md5(content).slice(0, 6) } as const;
    const path = cachedPath(url, { cacheDir });
    await expect(downloadFile({ url, checksum }, quick(cacheDir, { offline: true }))).rejects.toThrow(
      `${url}: is not in the cache (${path}), and offline`,
    );
    await downloadFile(
      { url: (await serve((request, response) => sendFile(request, response, content))).url },
      quick(cacheDir),
    ); // makes the folder
    writeFileSync(path, content);
    expect(await downloadFile({ url, checksum }, quick(cacheDir, { offline: true }))).toMatchObject({
      path,
      downloaded: false,
    });
    writeFileSync(path, randomBytes(10));
    await expect(downloadFile({ url, checksum }, quick(cacheDir, { offline: true }))).rejects.toThrow(
      /has changed/,
    );
  });
});

describe("several at once", () => {
  it("do not disturb each other", async () => {
    const server = await serve((request, response, count) =>
      sendFile(request, response, content, { cut: count < 4 ? 20_000 + 10_000 * count : Infinity }),
    );
    const url = `${server.url}/w.pth`;
    const cacheDir = emptyCache();
    const all = await Promise.all(Array.from({ length: 4 }, () => downloadFile({ url }, quick(cacheDir))));
    expect(new Set(all.map((one) => one.sha256))).toEqual(new Set([sha256(content)]));
    expectWhole(url, cacheDir);
  });

  it("leave a living process's part alone", async () => {
    let stuck: (() => void) | undefined;
    const server = await serve((request, response, count) => {
      if (count > 0) return sendFile(request, response, content);
      response.writeHead(200, { "content-length": content.length, etag: '"one"' });
      response.write(content.subarray(0, 1000));
      stuck = () => response.end(content.subarray(1000));
    });
    const url = `${server.url}/w.pth`;
    const cacheDir = emptyCache();
    let began: (() => void) | undefined;
    const hasBegun = new Promise<void>((resolve) => (began = resolve));
    const slow = downloadFile({ url }, quick(cacheDir, { onProgress: ({ bytes }) => bytes > 0 && began!() }));
    await hasBegun;
    await downloadFile({ url }, quick(cacheDir));
    expect(server.requests[1]!.range).toBeUndefined();
    stuck!();
    await slow;
    expectWhole(url, cacheDir);
  });
});

describe("the disk", () => {
  it("that is full leaves nothing under the name and says what to do", async () => {
    const server = await serve((request, response) => sendFile(request, response, content));
    const url = `${server.url}/w.pth`;
    const cacheDir = emptyCache();
    let written = 0;
    const full = downloadFile({ url }, quick(cacheDir), async (file, chunk) => {
      written += chunk.length;
      if (written > 100_000)
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      await file.writeFile(chunk);
    });
    await expect(full).rejects.toThrow(
      /w-.*\.pth: the disk is full\. Free some space there, or choose another folder/,
    );
    expectNothing(url, cacheDir);
    await downloadFile({ url }, quick(cacheDir));
    expectWhole(url, cacheDir);
  });

  it("without room for the file is noticed before anything comes", async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-length": 2 ** 50 });
      response.write("x");
    });
    const cacheDir = emptyCache();
    await expect(downloadFile({ url: `${server.url}/w.pth` }, quick(cacheDir))).rejects.toThrow(
      /the disk is full \(1125899907 MB are needed, \d+ MB are free\)/,
    );
    expect(filesIn(cacheDir)).toEqual([]);
  });

  it("where the folder is a file is named", async () => {
    const file = join(root, "a-file");
    writeFileSync(file, "");
    await expect(downloadFile({ url: "http://127.0.0.1:9/w.pth" }, quick(file))).rejects.toThrow(
      /a part of the path is a file/,
    );
  });
});

describe("the cache's folder", () => {
  it("is the user's", () => {
    const at = (env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string =>
      cacheFolder({}, { HOME: "/home/me", ...env }, platform);
    expect(at({ XDG_CACHE_HOME: "/var/caches" }, "linux")).toBe("/var/caches/mrcnn");
    expect(at({ XDG_CACHE_HOME: "relative" }, "linux")).toMatch(/\/\.cache\/mrcnn$/);
    expect(at({}, "darwin")).toMatch(/\/Library\/Caches\/mrcnn$/);
    expect(at({ MRCNN_CACHE: "/data/weights" }, "linux")).toBe("/data/weights");
    expect(cacheFolder({ cacheDir: "here" }, { MRCNN_CACHE: "/data" })).toBe("here");
  });

  it("has a file name for every URL that stays inside, and different ones for different URLs", () => {
    const urls = [
      "https://h/../../etc/passwd",
      "https://h/%2e%2e%2fetc%2fpasswd",
      "https://h/",
      "https://h/a.pth?x=1",
      "https://h/a.pth?x=2",
      "https://h/b/a.pth",
      `https://h/${"long".repeat(100)}.pth`,
      "https://h/.hidden",
      "https://h/%E0%A4%A",
      "https://h/a b.h5",
    ];
    const paths = urls.map((url) => cachedPath(url, { cacheDir: "/cache" }));
    expect(new Set(paths).size).toBe(urls.length);
    for (const path of paths) {
      expect(dirname(path)).toBe("/cache/weights");
      expect(path.slice("/cache/weights/".length)).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,110}$/);
    }
    expect(paths[3]).toMatch(/\/a-[0-9a-f]{10}\.pth$/);
  });
});

describe("a proxy", () => {
  it("of the environment is used, except for NO_PROXY's hosts", async () => {
    const server = await serve((request, response) => sendFile(request, response, content));
    const tunnelled: string[] = [];
    const proxy = createServer((_, response) => response.writeHead(405).end());
    proxy.on("connect", (request, socket) => {
      tunnelled.push(request.url!);
      const { port } = new URL(server.url);
      const onward = connect(Number(port), "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        onward.pipe(socket).pipe(onward);
      });
      for (const end of [socket, onward]) end.on("error", () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const names = ["HTTP_PROXY", "NO_PROXY", "http_proxy", "no_proxy"] as const;
    const before = Object.fromEntries(names.map((name) => [name, process.env[name]]));
    for (const name of names) delete process.env[name];
    process.env.HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    process.env.NO_PROXY = "127.0.0.1";
    try {
      const cacheDir = emptyCache();
      await downloadFile({ url: `${server.url}/direct.pth` }, quick(cacheDir, { fetch: await nodeFetch() }));
      expect(tunnelled).toEqual([]);
      // A name that only the proxy can resolve.
      await downloadFile(
        { url: "http://weights.invalid/proxied.pth" },
        quick(cacheDir, { fetch: await nodeFetch() }),
      );
      expect(tunnelled).toEqual(["weights.invalid:80"]);
      expect(statSync(cachedPath("http://weights.invalid/proxied.pth", { cacheDir })).size).toBe(
        content.length,
      );
    } finally {
      for (const name of names) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});
