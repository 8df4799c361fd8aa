// What suites use of node:fs, in a page: fixtures come from the server of the tests.

/** The text of a file beside a test. Waits for it, as in Node. */
export function readFileSync(url: URL): string {
  const request = new XMLHttpRequest();
  request.open("GET", `/@fs${url.pathname}`, false);
  request.send();
  if (request.status !== 200)
    throw new Error(`${url.pathname}: the server of the tests answered ${request.status} ${url.href}.`);
  return request.responseText;
}
