/** Replaces the functions of node:fs that tests use, in a page: fixtures come from the tests' server. */

/** Reads the text of a file beside a test, synchronously as in Node. */
export function readFileSync(url: URL): string {
  const request = new XMLHttpRequest();
  request.open("GET", `/@fs${url.pathname}`, false);
  request.send();
  if (request.status !== 200)
    throw new Error(`${url.pathname}: the server of the tests answered ${request.status} ${url.href}.`);
  return request.responseText;
}
