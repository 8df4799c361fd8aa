/** Makes annotation files that are damaged or ask for too much, from a seed: bytes and values changed, huge numbers, deep nesting, long texts. */
import { createRandom, type Random } from "@mrcnn/core";

/** Text that stands in JSON as it is. */
class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
type Node = unknown;
type Parent = Record<string, Node>;

// A file ends where it gets longer than this.
const LONGEST = 4e6;

function write(root: Node): string {
  let text = "";
  const add = (node: Node): void => {
    if (text.length > LONGEST) return;
    if (node instanceof Raw) text += node.text;
    else if (Array.isArray(node)) {
      node.forEach((entry, i) => {
        text += i === 0 ? "[" : ",";
        add(entry);
      });
      text += node.length === 0 ? "[]" : "]";
    } else if (typeof node === "object" && node !== null) {
      Object.entries(node).forEach(([key, value], i) => {
        text += `${i === 0 ? "{" : ","}${JSON.stringify(key)}:`;
        add(value);
      });
      text += Object.keys(node).length === 0 ? "{}" : "}";
    } else text += JSON.stringify(node) ?? "null";
  };
  add(root);
  return text.slice(0, LONGEST);
}

const good = (): Parent => ({
  info: { year: 2017 },
  images: [1, 2].map((id) => ({ id, width: 64, height: 48, file_name: `${id}.png` })),
  categories: [
    { id: 1, name: "cell", supercategory: "none" },
    { id: 2, name: "dot" },
  ],
  annotations: [1, 2, 3, 4].map((id) => ({
    id,
    image_id: 1 + (id % 2),
    category_id: 1 + (id % 2),
    bbox: [4, 4, 20, 10],
    area: 200,
    iscrowd: id === 4 ? 1 : 0,
    segmentation:
      id === 4 ? { size: [48, 64], counts: [100, 40, 2932] }
      : id === 3 ? { size: [48, 64], counts: "T38h12O" }
      : [[4, 4, 24, 4, 24, 14, 4, 14]],
  })),
});

/** All places in a value: the object or list, and the key. */
function places(node: Node, found: [Parent, string][] = []): [Parent, string][] {
  if (typeof node === "object" && node !== null && !(node instanceof Raw)) {
    for (const key of Object.keys(node)) {
      found.push([node as Parent, key]);
      places((node as Parent)[key], found);
    }
  }
  return found;
}

const deep = (depth: number, open: string, close: string): Raw =>
  new Raw(open.repeat(depth) + "1" + close.repeat(depth));
const numbers = [
  "0",
  "-1",
  "0.5",
  "-0",
  "1e308",
  "1e400",
  "-1e400",
  "4294967295",
  "4294967296",
  "2147483648",
  "9007199254740993",
  "7706992903151817197",
  "1e-320",
  "1e9",
  "65535",
  "999999.9",
  "NaN",
  "Infinity",
  "-Infinity",
];

const values: readonly ((random: Random) => Node)[] = [
  (random) => new Raw(numbers[random.int(numbers.length)]!),
  (random) => new Raw(`${random.int(9) + 1}${"9".repeat(random.int(6000))}`),
  (random) => new Raw(`0.${"3".repeat(random.int(100_000))}`),
  (random) =>
    [
      "1",
      "",
      "null",
      "\0",
      "../../etc/passwd",
      "\u001b[2J",
      "x".repeat(random.int(1_000_000)),
      "\ud800",
      "é".repeat(1000),
      "__proto__",
    ][random.int(10)],
  (random) =>
    [null, true, false, [], {}, [[]], [null], [[[[]]]], { counts: "" }, { size: [], counts: [] }][
      random.int(10)
    ],
  (random) => deep(10 ** (1 + random.int(6)), "[", "]"),
  (random) => deep(10 ** (1 + random.int(5)), '{"a":', "}"),
  // Outlines back and forth, far out, of very many points, of very many parts.
  (random) => [
    Array.from({ length: 2 * 10 ** (1 + random.int(5)) }, (_, i) =>
      i % 4 === 0 ? 0 : 10 ** (1 + random.int(6)),
    ),
  ],
  (random) => [
    Array.from({ length: 6 + 2 * random.int(100_000) }, () => (random.uniform() - 0.5) * 10 ** random.int(7)),
  ],
  (random) => Array.from({ length: 1 + random.int(20_000) }, () => [1, 1, 60, 1, 60, 40]),
  (random) => [Array.from({ length: random.int(9) }, () => new Raw(numbers[random.int(numbers.length)]!))],
  // Run lengths that claim much, or are many.
  (random) => ({
    size: [48, 64].map((n) => (random.int(2) ? n : 10 ** random.int(10))),
    counts: Array.from({ length: random.int(5) }, () => new Raw(numbers[random.int(numbers.length)]!)),
  }),
  (random) => ({
    size: [48, 64],
    counts: String.fromCharCode(...Array.from({ length: random.int(2000) }, () => 40 + random.int(80))),
  }),
  (random) => ({ size: [65_535, 65_535], counts: [0, 65_535 * 65_535 - random.int(2)] }),
  (random) => ({ size: [48, 64], counts: Array.from({ length: random.int(200_000) }, () => random.int(2)) }),
  (random) => Array.from({ length: random.int(100_000) }, () => random.int(10)),
];

// Changes of the value, before it is written.
const changes: readonly ((value: Parent, random: Random) => void)[] = [
  (value, random) => {
    const [parent, key] = pick(places(value), random);
    parent[key] = pick(values, random)(random);
  },
  (value, random) => {
    const masks = (value.annotations as Parent[])[random.int(4)]!;
    masks.segmentation = pick(values, random)(random);
  },
  (value, random) => {
    const image = (value.images as Parent[])[random.int(2)]!;
    for (const key of ["width", "height"])
      if (random.int(3) > 0) image[key] = 10 ** random.int(12) * (1 + random.int(9));
  },
  (value, random) => {
    const [parent, key] = pick(places(value), random);
    if (!Array.isArray(parent)) delete parent[key];
    else parent.splice(Number(key), 1);
  },
  (value, random) => {
    const key = pick(["images", "annotations", "categories"], random);
    const list = value[key] as Node[];
    if (Array.isArray(list))
      value[key] = Array.from({ length: Math.min(20_000, list.length * random.int(2000)) }, (_, i) =>
        random.int(2) && typeof list[i % list.length] === "object" ?
          { ...(list[i % list.length] as Parent), id: i }
        : list[i % list.length],
      );
  },
  (value, random) => {
    const [parent] = pick(places(value), random);
    if (!Array.isArray(parent)) for (let i = 0; i < random.int(5000); i++) parent[`key${i}`] = i;
  },
];

// Changes of the bytes.
const damages: readonly ((bytes: Uint8Array, random: Random) => Uint8Array)[] = [
  (bytes, random) => bytes.subarray(0, random.int(bytes.length + 1)),
  (bytes, random) => {
    const copy = bytes.slice();
    for (let i = 0; i <= random.int(8); i++) copy[random.int(copy.length)]! ^= 1 << random.int(8);
    return copy;
  },
  (bytes, random) => {
    const copy = bytes.slice();
    const from = random.int(copy.length);
    return copy.fill(
      random.int(3) === 0 ? 0 : random.int(256),
      from,
      Math.min(copy.length, from + random.int(100)),
    );
  },
  (bytes, random) =>
    Buffer.concat([bytes.subarray(0, random.int(bytes.length)), bytes.subarray(random.int(bytes.length))]),
  (bytes) => Buffer.concat([bytes, bytes]),
  (bytes) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]),
  (bytes) => Buffer.from(`\ufeff${Buffer.from(bytes).toString("utf8")}`, "utf16le"),
  (bytes, random) =>
    Buffer.concat([
      Buffer.from(
        ["\x1f\x8b\x08", "PK\x03\x04", "<html>", "[".repeat(1e6), '"', "{", "0 0.5 0.5 0.1 0.1\n"][
          random.int(7)
        ]!,
        "latin1",
      ),
      bytes,
    ]),
  (_, random) => Buffer.from("{}".repeat(random.int(2)) + "[],".repeat(random.int(100_000)), "latin1"),
];

const pick = <T>(list: readonly T[], random: Random): T => list[random.int(list.length)]!;

/** The bytes of hostile file number `index`. */
export function hostileAnnotations(index: number): Uint8Array {
  const random = createRandom(14).fork(index);
  const value = good();
  for (let i = 0; i <= random.int(3); i++) {
    try {
      pick(changes, random)(value, random);
    } catch {
      // What this one would change, the one before has taken away.
    }
  }
  const bytes = Buffer.from(write(value));
  return random.int(3) === 0 ? pick(damages, random)(bytes, random) : bytes;
}
