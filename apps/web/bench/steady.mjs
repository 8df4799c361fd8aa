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

const processes = await browser.newBrowserCDPSession();
const [worker] = page.workers();
if (worker === undefined) throw new Error("the page has no worker.");

/** After collection: tensors in the worker, the page's heap, and what the renderers have resident (Linux); megabytes. */
async function memory() {
  const collect = () => /** @type {any} */ (globalThis).gc();
  await Promise.all([page.evaluate(collect), worker?.evaluate(collect)]);
  const { numTensors, numBytes } = await /** @type {import("playwright-core").Worker} */ (worker).evaluate(
    () => /** @type {any} */ (globalThis)._tfengine.memory(),
  );
  const heap = await page.evaluate(() => /** @type {any} */ (performance).memory.usedJSHeapSize);
  const { processInfo } = await processes.send("SystemInfo.getProcessInfo");
  const resident = processInfo
    .filter(({ type }) => type === "renderer")
    .map(
      ({ id }) =>
        Number(
          /VmRSS:\s+(\d+)/.exec(
            existsSync(`/proc/${id}/status`) ? readFileSync(`/proc/${id}/status`, "utf8") : "",
          )?.[1] ?? NaN,
        ) / 1024,
    )
    .reduce((sum, own) => sum + own, 0);
  return { numTensors, tensorMb: numBytes / 2 ** 20, heapMb: heap / 2 ** 20, residentMb: resident };
}

/** All pictures of the strip have been looked at. */
const all = () =>
  page.waitForFunction(
    () =>
      [...document.querySelectorAll("#strip small")].every(({ textContent }) =>
        /^\d+$/.test(textContent ?? ""),
      ),
    undefined,
    { timeout: 300_000 },
  );

const samples = page.locator("#samples button");
const names = await samples.count();
for (let i = 0; i < names; i++) {
  await samples.nth(i).evaluate((button) => /** @type {HTMLElement} */ (button).click());
  await looked(page);
}
for (let done = names; ; done += names) {
  const { numTensors, tensorMb, heapMb, residentMb } = await memory();
  console.log(
    `after ${String(done).padStart(3)} pictures: ${numTensors} tensors of ${tensorMb.toFixed(1)} MB, page's heap ${heapMb.toFixed(1)} MB, renderer resident ${residentMb.toFixed(0)} MB`,
  );
  if (done >= images) break;
  // Changing an option looks at every picture anew.
  await page.evaluate(() => document.querySelector("#detail")?.dispatchEvent(new Event("change")));
  await all();
}
console.log(`${images} pictures, the last on ${await page.textContent("#timing")}`);

// A task is what runs between two turns of the event loop. On a machine that does other things too, the time that it had
// the processor tells more than the clock.
await browser.startTracing(page, { categories: ["toplevel", "__metadata"] });
await page.evaluate(() => document.querySelector("#detail")?.dispatchEvent(new Event("change")));
await all();
/** @type {{ traceEvents: { name: string, ph: string, pid: number, tid: number, dur?: number, tdur?: number, args: { name?: string } }[] }} */
const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
const mains = traceEvents.filter(
  ({ name, args }) => name === "thread_name" && args.name === "CrRendererMain",
);
const tasks = traceEvents.filter(
  ({ name, ph, pid, tid }) =>
    ph === "X" && name.endsWith("RunTask") && mains.some((main) => main.pid === pid && main.tid === tid),
);
const [longest] = tasks.toSorted((one, other) => (other.tdur ?? 0) - (one.tdur ?? 0));
console.log(
  `longest of ${tasks.length} tasks of the page's thread, over ${names} pictures: ${((longest?.tdur ?? NaN) / 1000).toFixed(1)} ms of processor, ${((longest?.dur ?? NaN) / 1000).toFixed(1)} ms on the clock`,
);
await close();
