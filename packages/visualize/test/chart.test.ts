import { renderChart, valueText } from "../src/chart.ts";
import type { Chart } from "../src/index.ts";
import { describe, expect, it } from "vitest";

const chart = (extra: Partial<Chart> = {}): Chart => ({
  title: "Loss",
  xLabel: "step",
  yLabel: "loss",
  series: [{ name: "total", x: [0, 50, 100], y: [4, 2, 1] }],
  ...extra,
});
const paths = (svg: string): string[] => [...svg.matchAll(/<path[^>]* d="([^"]*)"/g)].map((m) => m[1]!);
const ticks = (svg: string, anchor: string): string[] =>
  [...svg.matchAll(new RegExp(`<text x="[^"]*" y="[^"]*" text-anchor="${anchor}">([^<]*)<`, "g"))].map(
    (m) => m[1]!,
  );

describe("renderChart", () => {
  it("places points on linear axes from zero", () => {
    // The plot spans x 52 to 546 and y 256 (0) to 14 (4).
    const svg = renderChart(chart());
    expect(paths(svg)).toEqual(["M52 14L299 135L546 195.5"]);
    expect(ticks(svg, "end")).toEqual(["0", "1", "2", "3", "4"]);
    expect(ticks(svg, "middle")).toEqual(["0", "20", "40", "60", "80", "100"]);
    expect(svg).toContain("total <b>1</b>");
    expect(renderChart(chart({ showLast: false }))).not.toContain("<b>");
  });

  it("places equal ratios equally far apart on a logarithmic axis", () => {
    const svg = renderChart(chart({ log: true, series: [{ name: "a", x: [0, 1, 2], y: [100, 10, 1] }] }));
    const ys = [...paths(svg)[0]!.matchAll(/[ML]\S+ (\S+?)(?=[ML]|$)/g)].map((m) => Number(m[1]));
    expect(ys[1]! - ys[0]!).toBeCloseTo(ys[2]! - ys[1]!, 0);
    expect(ticks(svg, "end")).toEqual(["1", "2", "5", "10", "20", "50", "100"]);
    expect(
      ticks(renderChart(chart({ log: true, series: [{ name: "a", x: [0], y: [0.3] }] })), "end").length,
    ).toBeGreaterThan(0);
  });

  it("breaks the line where a value is missing or can't be on the axis", () => {
    expect(
      paths(renderChart(chart({ series: [{ name: "a", x: [0, 1, 2, 3], y: [1, NaN, 1, 1] }] })))[0]!.match(
        /M/g,
      ),
    ).toHaveLength(2);
    expect(
      paths(
        renderChart(chart({ log: true, series: [{ name: "a", x: [0, 1, 2, 3], y: [1, 0, 1, 1] }] })),
      )[0]!.match(/M/g),
    ).toHaveLength(2);
  });

  it("smooths noise, keeps the measured line, and thins it to what can be seen", () => {
    const x = Array.from({ length: 5000 }, (_, i) => i);
    const svg = renderChart(
      chart({ smooth: true, series: [{ name: "a", x, y: x.map((i) => 1 + (i % 2)) }] }),
    );
    const [raw, main] = paths(svg);
    expect(svg).toContain('class="raw c0"');
    expect(raw!.match(/[ML]/g)!.length).toBeLessThan(1000);
    expect(svg).toMatch(/a <b>1\.5/);
    // 1.5 of the axis 1 to 2 is half way from 14 to 256, all the way along.
    const ys = [...main!.matchAll(/[ML]\S+ (\S+?)(?=[ML]|$)/g)].map((m) => Number(m[1]));
    for (const y of ys) expect(Math.abs(y - 135)).toBeLessThan(1.5);
  });

  it("escapes names, and says when there is nothing to draw", () => {
    const svg = renderChart(chart({ title: "<b>", series: [{ name: 'a & "b"', x: [0, 1], y: [1, 2] }] }));
    expect(svg).toContain("&lt;b&gt;");
    expect(svg).toContain("a &amp; &quot;b&quot;");
    expect(renderChart(chart({ series: [] }))).toContain("No values yet.");
    expect(renderChart(chart({ series: [{ name: "a", x: [0], y: [NaN] }] }))).toContain("No values yet.");
  });

  it("draws a line that never changes", () => {
    for (const y of [0, 3, -3])
      expect(renderChart(chart({ series: [{ name: "a", x: [0, 1], y: [y, y] }] }))).not.toContain("NaN");
    expect(renderChart(chart({ series: [{ name: "a", x: [5], y: [1] }] }))).not.toContain("NaN");
  });
});

describe("valueText", () => {
  it("shows as many digits as matter", () => {
    const shown = [0, 12, -1, 0.64213, 1.23456, 123.456, 0.0002, 1e-7, 12345678, NaN].map(valueText);
    expect(shown).toEqual(["0", "12", "−1", "0.642", "1.235", "123.5", "0.0002", "1e−7", "12350000", "–"]);
  });
});
