// @ts-check
/** Draws the bar charts of a report, by Vega without a browser. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../../workspace.mjs";
import { median, quantile } from "./report.mjs";

/** Installed into .cache/bench. */
export const plotters = ["vega@6.4.0", "vega-lite@6.4.2"];

const titles = { detect: "Detection", train: "Training step, 2 images" };

/**
 * SVG: medians and quartiles of each contender, one chart for each size and action.
 *
 * @param {import("./report.mjs").Report} report
 */
export async function plotOf({ machine, date, results }) {
  const bench = createRequire(join(root, ".cache", "bench", "package.json"));
  const [vega, lite] = await Promise.all(
    ["vega", "vega-lite"].map((name) => import(pathToFileURL(bench.resolve(name)).href)),
  );
  const bars = results
    .filter(({ seconds, action }) => seconds.length > 0 && action in titles)
    .map(({ title, size, action, kind, seconds }) => ({
      title,
      chart: `${titles[/** @type {keyof typeof titles} */ (action)]}, ${size}`,
      who: kind === "ours" ? "@mrcnn" : "peers",
      median: median(seconds),
      low: quantile(seconds, 0.25),
      high: quantile(seconds, 0.75),
    }));
  const chart = (/** @type {string} */ name) => ({
    title: { text: name, anchor: "start", fontSize: 13 },
    width: 480,
    height: { step: 24 },
    transform: [{ filter: `datum.chart === ${JSON.stringify(name)}` }],
    encoding: {
      y: {
        field: "title",
        type: "nominal",
        sort: bars
          .filter((bar) => bar.chart === name)
          .toSorted((a, b) => a.median - b.median)
          .map(({ title }) => title),
        axis: { title: null, labelLimit: 400, ticks: false, domain: false, labelPadding: 6 },
      },
    },
    layer: [
      {
        mark: { type: "bar", height: 15, cornerRadiusEnd: 2 },
        encoding: {
          x: {
            field: "median",
            type: "quantitative",
            axis: { title: "seconds, median and quartiles", tickCount: 6 },
          },
          color: {
            field: "who",
            scale: { domain: ["@mrcnn", "peers"], range: ["#d9480f", "#adb5bd"] },
            legend: { title: null, orient: "top" },
          },
        },
      },
      {
        mark: { type: "rule", strokeWidth: 1.2, color: "#212529" },
        encoding: { x: { field: "low", type: "quantitative" }, x2: { field: "high" } },
      },
      {
        mark: { type: "tick", thickness: 1.2, size: 8, color: "#212529" },
        encoding: { x: { field: "low", type: "quantitative" } },
      },
      {
        mark: { type: "tick", thickness: 1.2, size: 8, color: "#212529" },
        encoding: { x: { field: "high", type: "quantitative" } },
      },
      {
        mark: { type: "text", align: "left", dx: 7, fontSize: 11, color: "#212529" },
        encoding: { x: { field: "high", type: "quantitative" }, text: { field: "median", format: ".2f" } },
      },
    ],
  });
  const spec = {
    title: {
      text: "Mask R-CNN R50-FPN",
      subtitle: [machine, date],
      anchor: "start",
      fontSize: 16,
      subtitleColor: "#495057",
      offset: 12,
    },
    background: "white",
    padding: 16,
    data: { values: bars },
    vconcat: [...new Set(bars.map(({ chart: name }) => name))].map(chart),
    resolve: { scale: { x: "independent", y: "independent" } },
    config: { view: { stroke: null }, axis: { gridColor: "#e9ecef", labelFontSize: 11 }, font: "sans-serif" },
  };
  const view = new vega.View(vega.parse(lite.compile(spec).spec), { renderer: "none" });
  return view.toSVG();
}
