import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll } from "vitest";

/** Answers one request; `count` is how many came before it. */
export type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;

/** A server of the test's own. */
export interface FileServer {
  readonly url: string;
  /** What every request asked for. */
  readonly requests: {
    readonly url: string;
    readonly range: string | undefined;
    readonly ifRange: string | undefined;
  }[];
}

/** Serves until the test file ends. */
export async function serve(handler: Handler): Promise<FileServer> {
  const requests: FileServer["requests"] = [];
  const server = createServer((request, response) => {
    const { range, "if-range": ifRange } = request.headers;
    requests.push({ url: request.url ?? "", range, ifRange: ifRange as string | undefined });
    handler(request, response, requests.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** What a well-behaved server does with ranges. `cut` breaks the connection after so many bytes of the body. */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  content: Uint8Array,
  { etag = '"one"', cut = Infinity }: { etag?: string | undefined; cut?: number } = {},
): void {
  const from =
    request.headers["if-range"] === etag ?
      Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0)
    : 0;
  if (from >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const body = content.subarray(from);
  response.writeHead(from === 0 ? 200 : 206, {
    "content-length": body.length,
    "content-type": "application/octet-stream",
    ...(etag !== "" && { etag }),
    ...(from > 0 && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
  });
  if (body.length <= cut) response.end(body);
  else response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 20));
}
