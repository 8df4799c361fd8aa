// @ts-check
// node apps/web/bench/steady.mjs [IMAGES]: the page over many pictures (50 unless said), the samples again and
// again with the model that comes with it: the longest task of its own thread meanwhile, and the memory of page and
// worker along the way.
import { looked, median, openSite, ready } from "./chromium.mjs";

const images = Number(process.argv[2] ?? 50);
const { url, browser, close } = await openSite({ flags: ["--js-flags=--expose-gc"] });
const context = await browser.newContext({ serviceWorkers: "block" });
const page = await context.newPage();
await page.goto(url);
await ready(page);
const session = await context.newCDPSession(page);

// A task is what runs between two turns of the event loop; those of 50 ms and more the browser reports itself.
await page.evaluate(() => {
  const seen = { longest: 0, long: 0, gaps: /** @type {number[]} */ ([]) };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      seen.long++;
      seen.longest = Math.max(seen.longest, duration);
    }
  }).observe({ type: "longtask" });
  const { port1, port2 } = new MessageChannel();
  let last = performance.now();
  port1.onmessage = () => {
    const now = performance.now();
    seen.gaps.push(now - last);
    last = now;
    setTimeout(() => port2.postMessage(0), 0);
  };
  port2.postMessage(0);
  Object.assign(globalThis, { seen });
});

/** Page and workers after collection, bytes. */
async function memory() {
  await session.send("HeapProfiler.collectGarbage");
  return page.evaluate(async () => {
    const { bytes } = await /** @type {any} */ (performance).measureUserAgentSpecificMemory();
    return /** @type {number} */ (bytes);
  });
}

/** All pictures of the strip have been looked at. */
const all = () => page.waitForFunction(() => [...document.querySelectorAll("#strip small")].every(({ textContent }) => /^\d+$/.test(textContent ?? "")), undefined, { timeout: 300_000 });

const marks = [];
const samples = page.locator("#samples button");
const names = await samples.count();
for (let i = 0; i < names; i++) {
  await samples.nth(i).evaluate((button) => /** @type {HTMLElement} */ (button).click());
  await looked(page);
}
for (let done = names; ; done += names) {
  marks.push({ images: done, megabytes: Math.round((await memory()) / 1e5) / 10 });
  if (done >= images) break;
  // Changing an option looks at every picture anew.
  await page.evaluate(() => document.querySelector("#detail")?.dispatchEvent(new Event("change")));
  await all();
}
const seen = await page.evaluate(() => /** @type {any} */ (globalThis).seen);
console.log(`${images} pictures on ${await page.textContent("#timing")}`);
console.log(`longest task of the page's thread: ${seen.longest === 0 ? "under 50 ms" : `${seen.longest} ms (${seen.long} of 50 ms or more)`}; longest pause of its event loop ${Math.max(...seen.gaps).toFixed(1)} ms, median ${median(seen.gaps).toFixed(2)} ms`);
for (const { images: n, megabytes } of marks) console.log(`after ${String(n).padStart(3)} pictures: ${megabytes} MB`);
await close();
