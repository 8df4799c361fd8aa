// @ts-check
// node apps/web/bench/steady.mjs [IMAGES]: the page over many pictures (50 unless said): the longest task of its own
// thread while it detects, and the memory of page and worker along the way. It uses the model and the samples that
// come with the page.
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

const marks = [];
const samples = page.locator("#samples button");
const names = await samples.count();
for (let i = 0; i < images; i++) {
  await samples.nth(i % names).evaluate((button) => /** @type {HTMLElement} */ (button).click());
  await looked(page);
  if (i === 0 || (i + 1) % 10 === 0) marks.push({ images: i + 1, megabytes: Math.round((await memory()) / 1e5) / 10 });
}
const seen = await page.evaluate(() => /** @type {any} */ (globalThis).seen);
console.log(`${images} pictures on ${await page.textContent("#timing")}`);
console.log(`longest task of the page's thread: ${seen.longest === 0 ? "under 50 ms" : `${seen.longest} ms (${seen.long} of 50 ms or more)`}; longest pause of its event loop ${Math.max(...seen.gaps).toFixed(1)} ms, median ${median(seen.gaps).toFixed(2)} ms`);
for (const { images: n, megabytes } of marks) console.log(`after ${String(n).padStart(3)} pictures: ${megabytes} MB`);
await close();
