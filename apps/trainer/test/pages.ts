/** A report's page in pieces (a figure of the summary, a chart, a row, a picture, a note each), so that a comparison shows which differs. */
export const piecesOf = (page: string): string[] =>
  page.split(/(?=<div><dt>|<section>|<figure|<tr>|<p>|<\/div><\/section>)/);

/** The page's pictures with their captions. */
export const picturesOf = (page: string): string[] =>
  piecesOf(page).filter((piece) => piece.includes("<img"));
