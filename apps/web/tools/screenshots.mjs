// @ts-check
// node apps/web/tools/screenshots.mjs: remakes docs/web/*.jpg from the page as it is built (npm run web:build first).
import { join } from "node:path";
import { looked, openSite, ready } from "../bench/chromium.mjs";

const folder = join(import.meta.dirname, "..", "..", "..", "docs", "web");
const { url, browser, close } = await openSite();

/** @param {{ width: number, height: number, isDark?: boolean, isPhone?: boolean }} screen */
async function open({ width, height, isDark = false, isPhone = false }) {
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: isPhone ? 2 : 1,
    colorScheme: isDark ? "dark" : "light",
    hasTouch: isPhone,
    serviceWorkers: "block",
  });
  const page = await context.newPage();
  await page.goto(url);
  await ready(page);
  /** @param {string} name */
  const shoot = async (name) => {
    await page.waitForTimeout(400);
    await page.screenshot({ path: join(folder, `${name}.jpg`), type: "jpeg", quality: 82 });
  };
  /** @param {number} nth */
  const sample = async (nth) => {
    await page
      .locator("#samples button")
      .nth(nth)
      .evaluate((button) => /** @type {HTMLElement} */ (button).click());
    await looked(page);
    // The status fades.
    await page.waitForTimeout(3500);
  };
  return { page, shoot, sample, close: () => context.close() };
}

const desktop = await open({ width: 1280, height: 800 });
await desktop.shoot("welcome");
await desktop.sample(3);
await desktop.sample(0);
await desktop.page.locator("#objects li").nth(4).click();
await desktop.shoot("desktop");
await desktop.page.click("#look-inside");
await desktop.page.waitForSelector("#inside:not([hidden])", { timeout: 120_000 });
for (const step of ["proposals", "roi", "mask"]) {
  await desktop.page.click(`#tab-${step}`);
  await desktop.shoot(`inside-${step}`);
}
await desktop.close();

const dark = await open({ width: 1280, height: 800, isDark: true });
await dark.sample(1);
await dark.shoot("dark");
await dark.close();

const phone = await open({ width: 390, height: 844, isPhone: true });
await phone.sample(3);
await phone.shoot("phone");
await phone.close();
await close();
