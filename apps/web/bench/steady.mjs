// @ts-check
// node apps/web/bench/steady.mjs [IMAGES]: the page over many pictures (50 unless said), the samples again and
// again with the model that comes with it: the longest task of its own thread meanwhile, and the memory of page and
// worker along the way.
import { existsSync, readFileSync } from "node:fs";
import { looked, openSite, ready } from "./chromium.mjs";

const images = Number(process.argv[2] ?? 50);
const { url, browser, close } = await openSite({ flags: ["--js-flags=--expose-gc"] });
const context = await browser.newContext({ serviceWorkers: "block" });
const page = await context.newPage();
await page.goto(url);
await ready(page);

// A task is what runs between two turns of the event loop; those of 50 ms and more the browser reports itself.
await page.evaluate(() => {
  const seen = { longest: 0, long: 0, latest: 0 };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      seen.long++;
      seen.longest = Math.max(seen.longest, duration);
    }
  }).observe({ type: "longtask" });
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    seen.latest = Math.max(seen.latest, now - last - 10);
    last = now;
  }, 10);
  Object.assign(globalThis, { seen });
});

const processes = await browser.newBrowserCDPSession();
const [worker] = page.workers();
if (worker === undefined) throw new Error("the page has no worker.");

/** After collection: tensors in the worker, the page's heap, and what the renderers have resident (Linux); megabytes. */
async function memory() {
  const collect = () => /** @type {any} */ (globalThis).gc();
  await Promise.all([page.evaluate(collect), worker?.evaluate(collect)]);
  const { numTensors, numBytes } = await /** @type {import("playwright-core").Worker} */ (worker).evaluate(() => /** @type {any} */ (globalThis)._tfengine.memory());
  const heap = await page.evaluate(() => /** @type {any} */ (performance).memory.usedJSHeapSize);
  const { processInfo } = await processes.send("SystemInfo.getProcessInfo");
  const resident = processInfo
    .filter(({ type }) => type === "renderer")
    .map(({ id }) => Number(/VmRSS:\s+(\d+)/.exec(existsSync(`/proc/${id}/status`) ? readFileSync(`/proc/${id}/status`, "utf8") : "")?.[1] ?? NaN) / 1024)
    .reduce((sum, own) => sum + own, 0);
  return { numTensors, tensorMb: numBytes / 2 ** 20, heapMb: heap / 2 ** 20, residentMb: resident };
}

/** All pictures of the strip have been looked at. */
const all = () => page.waitForFunction(() => [...document.querySelectorAll("#strip small")].every(({ textContent }) => /^\d+$/.test(textContent ?? "")), undefined, { timeout: 300_000 });

const samples = page.locator("#samples button");
const names = await samples.count();
for (let i = 0; i < names; i++) {
  await samples.nth(i).evaluate((button) => /** @type {HTMLElement} */ (button).click());
  await looked(page);
}
for (let done = names; ; done += names) {
  const { numTensors, tensorMb, heapMb, residentMb } = await memory();
  console.log(`after ${String(done).padStart(3)} pictures: ${numTensors} tensors of ${tensorMb.toFixed(1)} MB, page's heap ${heapMb.toFixed(1)} MB, renderer resident ${residentMb.toFixed(0)} MB`);
  if (done >= images) break;
  // Changing an option looks at every picture anew.
  await page.evaluate(() => document.querySelector("#detail")?.dispatchEvent(new Event("change")));
  await all();
}
const seen = await page.evaluate(() => /** @type {any} */ (globalThis).seen);
console.log(`${images} pictures on ${await page.textContent("#timing")}`);
console.log(`longest task of the page's thread: ${seen.longest === 0 ? "under 50 ms" : `${seen.longest} ms (${seen.long} of 50 ms or more)`}; a timer of 10 ms was at most ${seen.latest.toFixed(0)} ms late`);
await close();
