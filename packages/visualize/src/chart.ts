/** Line charts as static SVG. */
import { escapeHtml } from "./html.ts";

/** One line of a chart. x ascends; values that are not finite leave a gap. */
export interface ChartSeries {
  readonly name: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
}

/** A chart: curves over one pair of axes. */
export interface Chart {
  readonly title: string;
  /** Label of the x axis, with its unit. */
  readonly xLabel: string;
  readonly yLabel: string;
  /** Makes the y axis logarithmic. Default false. */
  readonly log?: boolean;
  /** Draws a strong smoothed line over the faint original one, for noisy values. Default false. */
  readonly smooth?: boolean;
  /** Shows each line's last value in the legend. Default true. */
  readonly showLast?: boolean;
  readonly series: readonly ChartSeries[];
}

const WIDTH = 560;
const HEIGHT = 300;
const PLOT = { left: 52, right: WIDTH - 14, top: 14, bottom: HEIGHT - 44 };
/** Number of series colours in the page's style sheet. */
const SERIES_COLORS = 8;

type Point = readonly [x: number, y: number];

/**
 * Renders a chart with its legend as static SVG: it needs no script, prints, and follows the page's colours.
 */
export function renderChart(chart: Chart): string {
  const lines = chart.series.map(({ name, x, y }, i) => {
    const raw = Array.from(x, (at, k): Point => [at, y[k] ?? NaN]);
    return { name, color: `c${i % SERIES_COLORS}`, raw, main: chart.smooth === true ? smoothed(raw) : raw };
  });
  const usable = (v: number): boolean => Number.isFinite(v) && (chart.log !== true || v > 0);
  const mainY = lines.flatMap(({ main }) => main.map(([, y]) => y)).filter(usable);
  const xs = lines.flatMap(({ raw }) => raw.map(([x]) => x)).filter(Number.isFinite);
  const head = `<figure class="card chart"><figcaption>${escapeHtml(chart.title)}</figcaption>`;
  if (mainY.length === 0 || xs.length === 0) return `${head}<p class="none">No values yet.</p></figure>`;

  // A few outliers of a noisy line may leave the chart; the smoothed line never does.
  const rawY =
    chart.smooth === true ?
      lines
        .flatMap(({ raw }) => raw.map(([, y]) => y))
        .filter(usable)
        .sort((a, b) => a - b)
    : [];
  const among = [
    ...mainY,
    ...(rawY.length > 0 ?
      [rawY[Math.floor(rawY.length * 0.01)]!, rawY[Math.ceil(rawY.length * 0.98) - 1]!]
    : []),
  ];
  const yAxis = chart.log === true ? logAxis(extent(among)) : linearAxis(extent(among), 5, true);
  const xAxis = linearAxis(extent(xs), 6, false);
  const px = (x: number): number => PLOT.left + xAxis.place(x) * (PLOT.right - PLOT.left);
  const py = (y: number): number => PLOT.bottom - yAxis.place(y) * (PLOT.bottom - PLOT.top);
  const path = (points: readonly Point[]): string => {
    let pen = "M";
    let d = "";
    for (const [x, y] of thin(points)) {
      if (!usable(y)) pen = "M";
      else {
        d += `${pen}${round(px(x))} ${round(Math.max(-1e4, Math.min(1e4, py(y))))}`;
        pen = "L";
      }
    }
    return d;
  };

  const grid = yAxis.ticks
    .map(
      (tick) =>
        `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${round(py(tick))}" y2="${round(py(tick))}"/>`,
    )
    .join("");
  const labels =
    yAxis.ticks
      .map(
        (tick) =>
          `<text x="${PLOT.left - 7}" y="${round(py(tick) + 4)}" text-anchor="end">${tickText(tick)}</text>`,
      )
      .join("") +
    xAxis.ticks
      .map(
        (tick) =>
          `<text x="${round(px(tick))}" y="${PLOT.bottom + 17}" text-anchor="middle">${tickText(tick)}</text>`,
      )
      .join("");
  const plots = lines
    .map(({ color, raw, main }) => {
      const faint = chart.smooth === true ? `<path class="raw ${color}" d="${path(raw)}"/>` : "";
      const dots =
        main.length > 25 ?
          ""
        : main
            .filter(([, y]) => usable(y))
            .map(([x, y]) => `<circle class="${color}" cx="${round(px(x))}" cy="${round(py(y))}" r="2.6"/>`)
            .join("");
      return `${faint}<path class="${color}" d="${path(main)}"/>${dots}`;
    })
    .join("");
  const legend = lines
    .map(({ name, color, main }) => {
      const last = chart.showLast === false ? undefined : main.findLast(([, y]) => Number.isFinite(y))?.[1];
      return `<li><i class="${color}"></i>${escapeHtml(name)}${last === undefined ? "" : ` <b>${valueText(last)}</b>`}</li>`;
    })
    .join("");
  const note = [
    chart.log === true ? "logarithmic" : "",
    chart.smooth === true ? "smoothed over the faint measured values" : "",
  ].filter(Boolean);
  const yLabel = escapeHtml(chart.yLabel) + (note.length > 0 ? ` <span>(${note.join(", ")})</span>` : "");
  return (
    `${head}<ul class="legend">${legend}</ul><p class="y">${yLabel}</p>` +
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(chart.title)}">` +
    `<g class="grid">${grid}</g><line class="axis" x1="${PLOT.left}" x2="${PLOT.right}" y1="${PLOT.bottom}" y2="${PLOT.bottom}"/>` +
    `<g class="ticks">${labels}<text class="x" x="${(PLOT.left + PLOT.right) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${escapeHtml(chart.xLabel)}</text></g>` +
    // A nested svg clips lines at the plot's edges without an id that must be unique in the page.
    `<svg x="${PLOT.left - 4}" y="${PLOT.top - 4}" width="${PLOT.right - PLOT.left + 8}" height="${PLOT.bottom - PLOT.top + 8}" ` +
    `viewBox="${PLOT.left - 4} ${PLOT.top - 4} ${PLOT.right - PLOT.left + 8} ${PLOT.bottom - PLOT.top + 8}"><g class="lines">${plots}</g></svg></svg></figure>`
  );
}

interface Axis {
  readonly ticks: readonly number[];
  /** Position of a value, from 0 at the axis's start to 1 at its end. */
  place(value: number): number;
}

function extent(values: readonly number[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  return [low, high];
}

function linearAxis([low, high]: [number, number], about: number, widen: boolean): Axis {
  if (low === high)
    [low, high] =
      low === 0 ? [0, 1]
      : widen ? [Math.min(0, low), Math.max(0, high)]
      : [low - 1, high + 1];
  // Zero is included when it is near.
  if (widen && low > 0 && low < 0.5 * high) low = 0;
  const step = niceStep((high - low) / about);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const from = widen ? Math.floor(low / step + 1e-9) : first;
  const to = widen ? Math.ceil(high / step - 1e-9) : last;
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => (from + i) * step);
  const [start, end] = widen ? [from * step, to * step] : [low, high];
  return { ticks, place: (v) => (v - start) / (end - start) };
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const lead = rough / power;
  return (
    power *
    (lead <= 1 ? 1
    : lead <= 2 ? 2
    : lead <= 5 ? 5
    : 10)
  );
}

function logAxis([low, high]: [number, number]): Axis {
  // At least as wide as from 2 to 5, so that it contains a tick.
  const spare = Math.max(0.02, (0.42 - Math.log10(high / low)) / 2);
  const from = Math.log10(low) - spare;
  const to = Math.log10(high) + spare;
  const decades: number[] = [];
  for (let e = Math.floor(from); e <= Math.ceil(to); e++) decades.push(e);
  // Few decades get ticks at 2 and 5 as well.
  const parts = to - from < 2.5 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((to - from) / 7));
  const ticks = decades
    .filter((e) => e % every === 0)
    .flatMap((e) => parts.map((p) => p * 10 ** e))
    .filter((v) => Math.log10(v) >= from && Math.log10(v) <= to);
  return { ticks, place: (v) => (Math.log10(v) - from) / (to - from) };
}

// Returns the mean over a window of about a thirtieth of the points on either side, truncated at the ends.
function smoothed(points: readonly Point[]): Point[] {
  const reach = Math.max(2, Math.round(points.length / 30));
  const sums = [0];
  const counts = [0];
  for (const [, y] of points) {
    const ok = Number.isFinite(y);
    sums.push(sums.at(-1)! + (ok ? y : 0));
    counts.push(counts.at(-1)! + (ok ? 1 : 0));
  }
  return points.map(([x, y], i) => {
    const [from, to] = [Math.max(0, i - reach), Math.min(points.length, i + reach + 1)];
    return [x, Number.isFinite(y) ? (sums[to]! - sums[from]!) / (counts[to]! - counts[from]!) : NaN];
  });
}

// A page needs no more points than pixels: each interval is replaced by its lowest and highest point.
function thin(points: readonly Point[]): readonly Point[] {
  const most = 400;
  if (points.length <= 2 * most) return points;
  const kept: Point[] = [];
  for (let i = 0; i < most; i++) {
    const stretch = points.slice(
      Math.floor((i * points.length) / most),
      Math.floor(((i + 1) * points.length) / most),
    );
    const low = stretch.reduce((a, b) => (b[1] < a[1] ? b : a));
    const high = stretch.reduce((a, b) => (b[1] > a[1] ? b : a));
    kept.push(...(low[0] < high[0] ? [low, high] : [high, low]));
  }
  return [points[0]!, ...kept, points.at(-1)!];
}

const round = (v: number): number => Math.round(v * 10) / 10;

function tickText(v: number): string {
  const size = Math.abs(v);
  if (size >= 1e6) return `${Number((v / 1e6).toPrecision(4))}M`;
  if (size >= 1e4) return `${Number((v / 1e3).toPrecision(4))}k`;
  return String(Number(v.toPrecision(6))).replaceAll("-", "−");
}

/** Formats a number for a table: whole, or to three or four digits. */
export function valueText(v: number): string {
  if (!Number.isFinite(v)) return "–";
  const size = Math.abs(v);
  const whole = Number.isInteger(v) && size < 1e6;
  const text =
    whole ? String(v)
    : size >= 1e-3 && size < 1 ? v.toFixed(3)
    : String(Number(v.toPrecision(size < 1 ? 3 : 4)));
  return text.replaceAll("-", "−");
}
