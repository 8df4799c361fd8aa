/** Reports as a single HTML file. */
import { ConfigError } from "@mrcnn/core";
import { renderChart, valueText } from "./chart.ts";
import type { Chart } from "./chart.ts";
import { escapeHtml } from "./html.ts";
import { STYLE } from "./style.ts";

/** A table in a report. */
export interface ReportTable {
  readonly title: string;
  readonly columns: readonly string[];
  /** Cells row by row. Numbers are shown to three or four digits, right-aligned; null as a dash. */
  readonly rows: readonly (readonly (string | number | null)[])[];
}

/** An image in a report. */
export interface ReportImage {
  readonly caption: string;
  /** The image as a data URL: "data:image/png;base64,..." */
  readonly pngDataUrl: string;
}

/** Content of a report, from top to bottom. All text is plain; it is escaped. */
export interface Report {
  readonly title: string;
  readonly subtitle?: string;
  /** The most important figures, shown first. */
  readonly summary?: readonly {
    readonly label: string;
    readonly value: string | number;
    readonly detail?: string;
  }[];
  readonly curves?: readonly Chart[];
  readonly tables?: readonly ReportTable[];
  readonly images?: readonly ReportImage[];
  readonly notes?: readonly string[];
}

/**
 * Renders a report as one self-contained HTML file, without network or scripts; light or dark as the reader's
 * system; printable. Charts are static SVG.
 *
 * @throws ConfigError when an image is not a data URL or a table's row has not one cell per column.
 */
export function reportHtml(report: Report): string {
  const { title, subtitle, summary = [], curves = [], tables = [], images = [], notes = [] } = report;
  const section = (name: string, body: readonly string[], kind: string): string =>
    body.length === 0 ? "" : `<section><h2>${name}</h2><div class="${kind}">${body.join("")}</div></section>`;
  const tiles = summary.map(({ label, value, detail }) => {
    const text = typeof value === "number" ? valueText(value) : value;
    const long = text.length > 11 ? ' class="long"' : "";
    return `<div><dt>${escapeHtml(label)}</dt><dd${long}>${escapeHtml(text).replaceAll("/", "/<wbr>")}</dd>${detail === undefined ? "" : `<dd class="detail">${escapeHtml(detail)}</dd>`}</div>`;
  });
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body><main>`,
    `<header><h1>${escapeHtml(title)}</h1>${subtitle === undefined ? "" : `<p>${escapeHtml(subtitle)}</p>`}</header>`,
    tiles.length === 0 ? "" : `<dl class="summary">${tiles.join("")}</dl>`,
    section("Curves", curves.map(renderChart), "charts"),
    section("Results", tables.map(renderTable), "tables"),
    section("Examples", images.map(renderImage), "images"),
    section(
      "Notes",
      notes.map((note) => `<p>${escapeHtml(note)}</p>`),
      "notes",
    ),
    "</main></body></html>\n",
  ].join("\n");
}

function renderTable({ title, columns, rows }: ReportTable): string {
  // A column is aligned as numbers when no cell is text.
  const numeric = columns.map((_, c) => rows.every((row) => typeof row[c] !== "string"));
  const cell = (tag: string, text: string, c: number): string =>
    `<${tag}${numeric[c] ? ' class="n"' : ""}>${escapeHtml(text)}</${tag}>`;
  const body = rows.map((row, r) => {
    if (row.length !== columns.length) {
      throw new ConfigError(
        `reportHtml: table "${title}": row ${r} must have ${columns.length} cells, got ${row.length}.`,
      );
    }
    return `<tr>${row
      .map((v, c) =>
        cell(
          "td",
          v === null ? "–"
          : typeof v === "number" ? valueText(v)
          : v,
          c,
        ),
      )
      .join("")}</tr>`;
  });
  const head = columns.map((name, c) => cell("th", name, c)).join("");
  return `<figure class="card"><figcaption>${escapeHtml(title)}</figcaption><div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table></div></figure>`;
}

function renderImage({ caption, pngDataUrl }: ReportImage): string {
  if (!/^data:image\/[a-z+]+;base64,[A-Za-z0-9+/=]*$/.test(pngDataUrl)) {
    throw new ConfigError(
      `reportHtml: image "${caption}": pngDataUrl must be a base64 data URL, got ${JSON.stringify(pngDataUrl.slice(0, 40))}.`,
    );
  }
  return `<figure class="card"><img alt="${escapeHtml(caption)}" src="${pngDataUrl}"><figcaption>${escapeHtml(caption)}</figcaption></figure>`;
}
