/** The style sheet of reports. */

// Categorical colours of series, for light and dark pages.
const LIGHT = ["#2563eb", "#d9580d", "#0b8f63", "#8b3fd9", "#c2255c", "#0b86a3", "#9a6700", "#59636e"];
const DARK = ["#79aeff", "#ff9e5e", "#4ecf9f", "#c7a0ff", "#ff85b3", "#52cde0", "#e2b84e", "#a9b4bf"];

const colors = (list: readonly string[]): string => list.map((color, i) => `--c${i}:${color}`).join(";");
const series = LIGHT.map(
  (_, i) => `.c${i}{stroke:var(--c${i})}circle.c${i}{fill:var(--c${i})}i.c${i}{background:var(--c${i})}`,
).join("");

/** The report's style sheet. */
export const STYLE: string = `
:root{--page:#f6f7f9;--card:#fff;--ink:#1b2129;--soft:#5b6673;--line:#dfe3e8;--grid:#e9ecf0;${colors(LIGHT)}}
@media (prefers-color-scheme:dark){:root{--page:#0f1318;--card:#171c23;--ink:#e6eaef;--soft:#98a3b0;--line:#2a313a;--grid:#232a32;${colors(DARK)}}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1180px;margin:0 auto;padding:40px 24px 56px}
h1{font-size:28px;line-height:1.2;margin:0;letter-spacing:-.015em;overflow-wrap:anywhere}
header p{margin:8px 0 0;color:var(--soft);overflow-wrap:anywhere}
h2{font-size:13px;letter-spacing:.07em;text-transform:uppercase;color:var(--soft);font-weight:600;margin:40px 0 12px}
.summary{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:1px;margin:28px 0 0;background:var(--line);border:1px solid var(--line);border-radius:10px;overflow:hidden}
.summary div{background:var(--card);padding:14px 18px}
dt{color:var(--soft);font-size:13px}
dd{margin:2px 0 0;font-size:25px;line-height:1.25;font-weight:600;letter-spacing:-.01em;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
dd.long{font-size:15px;letter-spacing:0;line-height:1.4}
dd.detail{font-size:12.5px;font-weight:400;color:var(--soft);letter-spacing:0}
.charts,.images{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr))}
.chart{display:flex;flex-direction:column}
.chart>svg{margin-top:auto}
.images{align-items:start}
.tables{display:grid;gap:16px}
.card{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;min-width:0;break-inside:avoid}
figcaption{font-weight:600;overflow-wrap:anywhere}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 16px;margin:6px 0 0;padding:0;font-size:13px;color:var(--soft)}
.legend b{color:var(--ink);font-weight:600;font-variant-numeric:tabular-nums}
.legend i{display:inline-block;width:14px;height:3px;border-radius:2px;margin-right:7px;vertical-align:middle}
.y{margin:10px 0 0;font-size:12px;color:var(--soft)}
.y span{opacity:.8}
.none{color:var(--soft);margin:8px 0 0}
svg{display:block;width:100%;height:auto}
svg svg{display:inline}
.grid line{stroke:var(--grid)}
.axis{stroke:var(--soft);stroke-opacity:.6}
.ticks text{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
.lines path{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.lines .raw{stroke-width:1;stroke-opacity:.28}
.lines circle{stroke:none}
${series}
.scroll{overflow-x:auto;margin-top:8px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:6px 12px 6px 0;border-top:1px solid var(--line);white-space:nowrap}
th{border-top:0;color:var(--soft);font-weight:500;font-size:13px}
.n{text-align:right;font-variant-numeric:tabular-nums;padding:6px 0 6px 16px}
.images .card{padding:0;overflow:hidden}
.images img{display:block;width:100%;height:auto}
.images figcaption{padding:10px 16px 12px;font-weight:400;font-size:13.5px;color:var(--soft)}
.notes{color:var(--soft);max-width:75ch}
.notes p{margin:0 0 8px;overflow-wrap:anywhere}
@media print{body{background:#fff}main{padding:0}.charts,.images{grid-template-columns:1fr 1fr}}
@media (max-width:560px){main{padding:24px 14px}h1{font-size:23px}.card{padding:14px}}
`
  .trim()
  .replaceAll("\n", "");
