import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crc32c, createEventWriter } from "../src/tensorboard.ts";
import { temporaryFolder } from "./command.ts";
import { fields, records, text } from "./events.ts";

const folder = temporaryFolder();

describe("crc32c", () => {
  // Check values of RFC 3720, B.4, and of the catalogue's "123456789".
  it.each<[string, Uint8Array, number]>([
    ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 ones", new Uint8Array(32).fill(255), 0x62a8ab43],
    ["0..31", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ])("of %s", (_, bytes, expected) => expect(crc32c(bytes)).toBe(expected));
});

describe("createEventWriter", () => {
  it("writes the version, then scalars with their steps", () => {
    const writer = createEventWriter(folder);
    writer.scalars(1, { loss: 0.5, lr: 0.25 });
    writer.scalars(300, { loss: -2 });
    const [version, first, second, ...rest] = records(readFileSync(writer.file));
    expect(rest).toEqual([]);
    expect(text(version!.get(3)![0])).toBe("brain.Event:2");
    expect(first!.get(2)).toEqual([1]);
    expect(Math.abs((first!.get(1)![0] as number) - Date.now() / 1000)).toBeLessThan(60);
    const values = fields(first!.get(5)![0] as Uint8Array)
      .get(1)!
      .map((value) => fields(value as Uint8Array));
    expect(values.map((value) => [text(value.get(1)![0]), value.get(2)![0]])).toEqual([
      ["loss", 0.5],
      ["lr", 0.25],
    ]);
    expect(second!.get(2)).toEqual([300]);
  });

  it("tells a reader where a resumed run goes on", () => {
    const resumed = join(folder, "resumed");
    mkdirSync(resumed);
    const [, start] = records(readFileSync(createEventWriter(resumed, { step: 70 }).file));
    expect(start!.get(2)).toEqual([70]);
    expect(fields(start!.get(7)![0] as Uint8Array).get(1)).toEqual([1]); // SessionLog.START
  });
});
