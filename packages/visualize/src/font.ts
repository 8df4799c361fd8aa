/** A bitmap font of ASCII characters. */

/** Number of rows of a glyph: seven above the baseline, one below. */
export const GLYPH_ROWS = 8;

// Five columns per character from space to tilde, two hex digits each, with the top row in the lowest bit.
const COLUMNS =
  "0000000000 00005f0000 0007000700 147f147f14 242a7f2a12 2313086462 3649562050 0000070000 001c224100 0041221c00 " +
  "14083e0814 08083e0808 00a0600000 0008080800 0060600000 2010080402 3e5149453e 00427f4000 4261514946 2141454b31 " +
  "1814127f10 2745454539 3c4a494930 0171090503 3649494936 064949291e 0036360000 00b6760000 0814224100 1414141414 " +
  "0041221408 0201510906 324979413e 7e1111117e 7f49494936 3e41414122 7f4141221c 7f49494941 7f09090901 3e4149497a " +
  "7f0808087f 00417f4100 2040413f01 7f08142241 7f40404040 7f020c027f 7f0408107f 3e4141413e 7f09090906 3e4151215e " +
  "7f09192946 4649494931 01017f0101 3f4040403f 1f2040201f 3f4038403f 6314081463 0708700807 6151494543 007f414100 " +
  "0204081020 0041417f00 0402010204 4040404040 0001020400 2054545478 7f48444438 3844444420 384444487f 3854545418 " +
  "087e090102 18a4a4a47c 7f08040478 00447d4000 4080847d00 7f10284400 00417f4000 7c04180478 7c08040478 3844444438 " +
  "fc24242418 18242428fc 7c08040408 4854545420 043f444020 3c4040207c 1c2040201c 3c4030403c 4428102844 1ca0a0a07c " +
  "4464544c44 0008364100 00007f0000 0041360800 1008081008";

const WORD_SPACE = 3;
const FIRST = 32;

// Columns of each character, without the empty ones at its sides: narrow letters take little room.
const GLYPHS: readonly (readonly number[])[] = COLUMNS.split(" ").map((hex, i) => {
  const columns = hex.match(/../g)!.map((pair) => Number.parseInt(pair, 16));
  if (i === 0) return Array<number>(WORD_SPACE).fill(0);
  return columns.slice(columns.findIndex(Boolean), columns.findLastIndex(Boolean) + 1);
});

/**
 * Returns the columns of a line of text, one bit per row, with an empty column between letters. Accents are
 * left out; letters outside the font become "?".
 */
export function textColumns(text: string): number[] {
  const plain = text.normalize("NFKD").replace(/\p{M}/gu, "");
  return Array.from(plain, (letter) => [
    ...(GLYPHS[letter.codePointAt(0)! - FIRST] ?? GLYPHS["?".charCodeAt(0) - FIRST]!),
    0,
  ])
    .flat()
    .slice(0, -1);
}
