import { reportHtml } from "../src/index.ts";
import { describe, expect, it } from "vitest";

const png = "data:image/png;base64,iVBORw0KGgo=";

describe("reportHtml", () => {
  const html = reportHtml({
    title: "Run <1>",
    subtitle: "a & b",
    summary: [
      { label: "Mask AP50", value: 0.8912, detail: "200 images" },
      { label: "Weights", value: "runs/start/latest.safetensors" },
    ],
    curves: [
      {
        title: "Loss",
        xLabel: "step",
        yLabel: "loss",
        series: [{ name: "<script>alert(1)</script>", x: [0, 1], y: [1, 2] }],
      },
    ],
    tables: [
      {
        title: "Per class",
        columns: ["class", "AP", "instances"],
        rows: [
          ['<img src="x">', 0.5, 3],
          ["dog", null, 0],
        ],
      },
    ],
    images: [{ caption: 'one "two"', pngDataUrl: png }],
    notes: ["Sizes > 0"],
  });

  it("is one file that asks nobody for anything", () => {
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).not.toMatch(/https?:|<script|<link|@import|url\(/);
    expect(html).toContain("prefers-color-scheme:dark");
  });

  it("escapes everything it is given", () => {
    expect(html).toContain("<title>Run &lt;1&gt;</title>");
    expect(html).toContain("<p>a &amp; b</p>");
    expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(html).toContain("<td>&lt;img src=&quot;x&quot;&gt;</td>");
    expect(html).toContain('alt="one &quot;two&quot;"');
    expect(html).toContain("<p>Sizes &gt; 0</p>");
  });

  it("shows figures, aligned, and a dash for none", () => {
    expect(html).toContain('<dd>0.891</dd><dd class="detail">200 images</dd>');
    expect(html).toContain('<dd class="long">runs/<wbr>start/<wbr>latest.safetensors</dd>');
    expect(html).toContain('<tr><td>dog</td><td class="n">–</td><td class="n">0</td></tr>');
    expect(html).toContain(`src="${png}"`);
  });

  it("leaves empty sections out", () => {
    const bare = reportHtml({ title: "Empty" });
    expect(bare).not.toContain("<h2>");
    expect(bare).toContain("</html>");
  });

  it("refuses images from elsewhere and rows that don't fit", () => {
    for (const pngDataUrl of ["https://example.org/a.png", 'data:image/png;base64,A" onload="x']) {
      expect(() => reportHtml({ title: "", images: [{ caption: "a", pngDataUrl }] })).toThrow(
        'reportHtml: image "a": pngDataUrl must be a base64 data URL',
      );
    }
    expect(() =>
      reportHtml({ title: "", tables: [{ title: "T", columns: ["a", "b"], rows: [[1]] }] }),
    ).toThrow('table "T": row 0 must have 2 cells, got 1');
  });
});
