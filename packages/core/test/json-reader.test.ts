import { describe, expect, it } from "vitest";
import {
  createJsonReader,
  createRandom,
  JsonError,
  NotJsonError,
  parseJson,
  readJson,
  readJsonBytes,
  whatFile,
} from "../src/index.ts";
import type { ReadJsonOptions } from "../src/index.ts";

const inPieces = (text: string, size: number, options: ReadJsonOptions = {}): unknown => {
  const reader = createJsonReader(options);
  for (let at = 0; at < text.length; at += size) reader.push(text.slice(at, at + size));
  return reader.end();
};
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const utf16 = (text: string, { big = false, mark = true } = {}): Uint8Array => {
  const bytes = Buffer.from((mark ? "\ufeff" : "") + text, "utf16le");
  return big ? bytes.swap16() : bytes;
};
const messageOf = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError);
    return (error as Error).message;
  }
  return "none";
};

const texts = [
  "null",
  " true\n",
  "-0",
  "[]",
  "{}",
  " { } ",
  "[[],{},[[]],[{}]]",
  "[1,2.5,-3e2,1E+2,0.1,-0,123456789012345,0.12345678901234567,5e-324,1.7976931348623157e308,1e400]",
  '[1,2,"a",3,[4,5],6,null,[true,7]]',
  '{"a":{"b":[1,{"c":"d"}],"":2},"a b":3}',
  '[{"id":1,"x":[1]},{"id":2,"x":[]},{"idx":3,"x":2},{"x":4,"id":5},{"id":6}]',
  '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\ud800"',
  '["\\\\","\\\\\\"","ü😀日本","]}{[,:"]',
  '{"__proto__":{"x":1},"constructor":2,"toString":[3]}',
  '{"a":1,"b":2,"a":3}',
  ' \r\n\t[ 1 , 2 ,\n{ "a" : [ ] } ] \n',
];

describe("createJsonReader", () => {
  it.each(texts)("reads %s as JSON.parse does, however it is cut", (text) => {
    for (const size of [1, 2, 3, 7, 1000]) {
      const value = inPieces(text, size);
      expect(value).toEqual(JSON.parse(text));
      expect(JSON.stringify(value)).toBe(JSON.stringify(JSON.parse(text)));
    }
  });
  it("reads numbers to the last bit", () => {
    const random = createRandom(3);
    const numbers = Array.from({ length: 3000 }, () => {
      const digits = Array.from({ length: 1 + random.int(20) }, () => random.int(10))
        .join("")
        .replace(/^0+(?=\d)/, "");
      return (
        (random.int(2) ? "-" : "") +
        digits +
        (random.int(3) ? `.${random.int(10 ** (1 + random.int(9)))}${random.int(1e9)}` : "") +
        (random.int(4) ? "" : `e${random.int(40) - 20}`)
      );
    });
    const read = inPieces(`[${numbers.join(",")}]`, 1000) as (number | bigint)[];
    for (const [i, text] of numbers.entries()) {
      const exact = Number.isSafeInteger(Number(text)) || !/^-?\d+$/.test(text) ? Number(text) : BigInt(text);
      expect(Object.is(read[i], exact), text).toBe(true);
    }
  });
  // What Python's json.loads gives.
  it("keeps large whole numbers exact", () => {
    expect(inPieces('{"id":7706992903151817197,"ids":[1,-9007199254740993,9007199254740992,2]}', 5)).toEqual({
      id: 7706992903151817197n,
      ids: [1, -9007199254740993n, 9007199254740992n, 2],
    });
  });
  it("takes lists as deep as may be, and long texts, in little time", () => {
    let value = inPieces("[".repeat(1e6) + "]".repeat(1e6), 2 ** 16);
    let depth = 0;
    for (; Array.isArray(value); depth++) value = value[0];
    expect(depth).toBe(1e6);
    expect(messageOf(() => inPieces("[".repeat(1e6), 2 ** 16))).toMatch(/cut short/);
    expect(inPieces(JSON.stringify('\\"x'.repeat(1e6)), 1000)).toHaveLength(3e6);
  });
  it("hands over the entries of the outermost list", () => {
    for (const text of ['[1,[2],{"a":[3,4]},5,"b"]', "[[1,2],[3,[4]]]", "[]"]) {
      for (const size of [1, 3, 1000]) {
        const entries: unknown[] = [];
        expect(
          inPieces(text, size, { onEntry: (entry, i) => expect(entries.push(entry)).toBe(i + 1) }),
        ).toEqual([]);
        expect(entries).toEqual(JSON.parse(text));
      }
    }
    expect(inPieces('{"a":[1]}', 4, { onEntry: () => expect.fail() })).toEqual({ a: [1] });
  });
  it("keeps NaN and Infinity where it may", () => {
    expect(inPieces('[NaN,{"a":-Infinity},Infinity,1]', 3, { nonFinite: "keep" })).toEqual([
      NaN,
      { a: -Infinity },
      Infinity,
      1,
    ]);
  });
  it("stops where the values would take too much memory", () => {
    const text = `[${"{},".repeat(20_000)}1]`;
    expect(inPieces(text, 1000, { maxBytes: 1e7 })).toHaveLength(20_001);
    expect(messageOf(() => inPieces(text, 1000, { maxBytes: 1e6 }))).toMatch(
      /the values take more memory than there is for them/,
    );
    let seen = 0;
    inPieces(text, 1000, { maxBytes: 1e6, onEntry: () => void seen++ });
    expect(seen).toBe(20_001);
  });
});

describe("what is wrong", () => {
  it.each<[string, string]>([
    ["", "line 1, column 1: it is empty"],
    ["\n \n", "line 3, column 1: it is empty"],
    ["[1,2", "line 1, column 5 ([2]): the file ends here, in the middle: it was cut short"],
    ['{"a":\n [1, "b', "line 2, column 8 (a[1]): the file ends here, in the middle: it was cut short"],
    ['{"images":[{"id":1,"w":nul', "line 1, column 27 (images[0].w): the file ends here"],
    ["[1,2,]", 'line 1, column 6 ([2]): a comma stands before "]"'],
    ['{"a":1,}', 'line 1, column 8 (a): a comma stands before "}"'],
    ["[1 2]", 'line 1, column 4 ([1]): after a value must come a comma or "]", not "2]"'],
    ['{"a" 1}', 'line 1, column 6 (a): after a key must come ":", not "1}"'],
    ["{a:1}", 'line 1, column 2: a key in double quotes must come here, not "a:1}"'],
    ["{'a':1}", "a key in double quotes must come here"],
    [
      "['a']",
      "line 1, column 2 ([0]): texts must be in double quotes; this looks like Python's way of printing",
    ],
    ["[1,\n  True]", "line 2, column 3 ([1]): True is no word of JSON (it may be true in another language)"],
    ["[nan]", "nan is no word of JSON (it may be NaN in another language)"],
    ["[1] // x", "the value has ended, and more follows"],
    ["[ // x\n1]", "JSON has no comments"],
    [
      '{"annotations":[{"bbox":[1,2]},{"bbox":[1,2,NaN,4]}]}',
      "line 1, column 45 (annotations[1].bbox[2]): NaN",
    ],
    [
      '{"a b":{"c":-Infinity}}',
      'line 1, column 13 (["a b"].c): -Infinity is no number in JSON; Python writes it',
    ],
    ["[01]", 'line 1, column 2 ([0]): "01]" is no number in JSON'],
    ["[1.]", '"1.]" is no number in JSON'],
    ["[-]", '"-]" is no number in JSON'],
    ["[1e]", '"1e]" is no number in JSON'],
    ["[.5]", 'a value must come here, not ".5]"'],
    ["[+1]", 'a value must come here, not "+1]"'],
    ['["a\nb"]', "line 1, column 4 ([0]): a text holds a line break or another control character"],
    ['["\\x41"]', 'line 1, column 3 ([0]): there is no escape "\\\\x" in a JSON text'],
    ['["\\\\\\u12g4"]', 'there is no escape "\\\\u"'],
    ["]", 'a comma stands before "]"'],
  ])("%j: %s", (text, message) => {
    for (const size of [1, 4, 1e6]) expect(messageOf(() => inPieces(text, size))).toContain(message);
    expect(messageOf(() => parseJson(text))).toContain(message);
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
  });
  it("bounds the digits of a number, as Python does", () => {
    for (const size of [7, 1e6])
      expect(messageOf(() => inPieces(`[${"9".repeat(5000)}]`, size))).toContain(
        "a number has 5000 characters, more than 4300",
      );
    expect(inPieces("9".repeat(4300), 100)).toBe(10n ** 4300n - 1n);
  });
  it("carries its place", () => {
    expect.assertions(1);
    try {
      parseJson('{"a":\n[1,]}');
    } catch (error) {
      expect({ ...(error as JsonError) }).toMatchObject({ line: 2, column: 4, path: "a[1]" });
    }
  });
});

describe("readJson", () => {
  const value = { name: "ü 日本 😀", id: 7706992903151817197n, list: [1.5, null] };
  const text = '{"name":"ü 日本 😀","id":7706992903151817197,"list":[1.5,null]}';
  const utf8 = new TextEncoder().encode(text);
  it.each<[string, Uint8Array]>([
    ["UTF-8", utf8],
    ["UTF-8 with a byte order mark", Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), utf8])],
    ["UTF-16", utf16(text)],
    ["big-endian UTF-16", utf16(text, { big: true })],
    ["UTF-16 without a mark", utf16(text, { mark: false })],
    ["big-endian UTF-16 without a mark", utf16(text, { big: true, mark: false })],
  ])("takes %s", async (_, bytes) => {
    expect(readJsonBytes(bytes)).toEqual(value);
    for (const size of [1, 3, 16, 1e6]) expect(await readJson(pieces(bytes, size))).toEqual(value);
  });
  it("reads far more than it takes at once", async () => {
    const long = `[${Array.from({ length: 300_000 }, (_, i) => `{"id":${i},"n":"ü${i}"}`).join()}]`;
    expect(await readJson(pieces(new TextEncoder().encode(long), 99_991))).toEqual(JSON.parse(long));
  });
  it.each<[string, string | Uint8Array, RegExp]>([
    [
      "bytes of Latin-1",
      Buffer.from('{"a":1,\n"name":"caf\xe9.png"}', "latin1"),
      /^line 2, column 12 \(name\): here stand bytes that are no UTF-8\. Save the file as UTF-8/,
    ],
    ["UTF-32", Buffer.from([0xff, 0xfe, 0, 0, 0x5b, 0, 0, 0]), /UTF-32/],
    ["zeros of a power cut", new Uint8Array(5000), /no text at all/],
    [
      "gzip",
      Buffer.from("H4sIAAAAAAAAA4uOBQApu0wNAgAAAA==", "base64"),
      /compressed with gzip\. Unpack it \(gunzip\)/,
    ],
    ["zip", "PK\x03\x04\x14\0\0\0\x08\0abc", /zip archive/],
    ["a PNG", Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1"), /picture \(PNG\)/],
    ["a pickle", Buffer.from("\x80\x04\x95\x10\0\0", "latin1"), /Python pickle/],
    ["a web page", "<!DOCTYPE html>\n<html><head>", /a web page, not the file: a download/],
    ["XML of VOC", "<annotation>\n<folder>VOC2012</folder>", /XML of Pascal VOC/],
    ["XML of VOC with a head", '<?xml version="1.0"?>\n<annotation verified="yes">', /XML of Pascal VOC/],
    [
      "XML of CVAT",
      '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n <version>1.1</version>',
      /XML of CVAT.*COCO 1\.0/,
    ],
    ["another XML", '<?xml version="1.0"?>\n<svg/>', /it is XML\./],
    ["YOLO's boxes", "0 0.5 0.5 0.25 0.3\n1 0.1 0.2 0.3 0.4\n", /YOLO's text/],
    ["YOLO's polygons", "12 0.5 0.5 0.25 0.3 0.1 0.1\r\n", /YOLO's text/],
    ["CSV", "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,1,2,3\n", /a table \(CSV\)/],
    ["YAML", "train: ../train/images\nnc: 2\n", /it is YAML/],
    ["JSON lines", '{"image_id":1}\n{"image_id":2}\n', /JSON lines/],
    ["a pointer of Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:abc\n", /git lfs pull/],
  ])("names %s", async (_, content, message) => {
    const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : content;
    expect(messageOf(() => readJsonBytes(bytes))).toMatch(message);
    for (const size of [1, 1e6]) await expect(readJson(pieces(bytes, size))).rejects.toThrow(message);
  });
  it("leaves other mistakes as they are", async () => {
    expect(whatFile(Buffer.from('[{"a": 1}, {"a": }]'))).toBeUndefined();
    await expect(readJson(pieces(Buffer.from('[{"a":}]'), 3))).rejects.toThrow(JsonError);
    expect(() => readJsonBytes(Buffer.from("<html>"))).toThrow(NotJsonError);
  });
});
