import { expect, test } from "vitest";
import { createRandom } from "../src/index.ts";

test("the same seed gives the same stream, another seed another", () => {
  const draw = (seed: number): number[] => {
    const random = createRandom(seed);
    return Array.from({ length: 5 }, () => random.uniform());
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test("a saved state continues the stream exactly", () => {
  const random = createRandom(3);
  for (let i = 0; i < 10; i++) random.int(100);
  const copy = createRandom(random.state());
  expect(Array.from({ length: 20 }, () => copy.uniform())).toEqual(
    Array.from({ length: 20 }, () => random.uniform()),
  );
});

test("uniform has mean 1/2 and variance 1/12, normal mean 0 and variance 1", () => {
  const random = createRandom(11);
  const moments = (draw: () => number): [number, number] => {
    const xs = Array.from({ length: 20000 }, draw);
    const mean = xs.reduce((a, b) => a + b) / xs.length;
    return [mean, xs.reduce((a, b) => a + (b - mean) ** 2, 0) / xs.length];
  };
  const [mu, vu] = moments(random.uniform);
  expect(mu).toBeCloseTo(0.5, 1);
  expect(vu).toBeCloseTo(1 / 12, 2);
  const [mn, vn] = moments(random.normal);
  expect(Math.abs(mn)).toBeLessThan(0.03);
  expect(Math.abs(vn - 1)).toBeLessThan(0.05);
});

test("shuffle keeps every value", () => {
  expect(
    [...createRandom(5).shuffle(Int32Array.from({ length: 50 }, (_, i) => i))].toSorted((a, b) => a - b),
  ).toEqual(Array.from({ length: 50 }, (_, i) => i));
});

test("the stream is xoshiro128**'s", () => {
  // From state 1, 2, 3, 4, by the published algorithm written again in Python.
  const random = createRandom([1, 2, 3, 4]);
  const words = Array.from({ length: 10 }, () => random.uniform() * 2 ** 32);
  expect(words).toEqual([
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ]);
});

test("int stays below its bound and reaches every value", () => {
  const random = createRandom(2);
  expect([...new Set(Array.from({ length: 200 }, () => random.int(7)))].toSorted()).toEqual([
    0, 1, 2, 3, 4, 5, 6,
  ]);
  expect(random.int(1)).toBe(0);
});

test("forks of one label are alike, of different labels not", () => {
  const first = (label: number): number => createRandom(9).fork(label).uniform();
  expect(first(4)).toBe(first(4));
  expect(new Set(Array.from({ length: 100 }, (_, label) => first(label))).size).toBe(100);
});
