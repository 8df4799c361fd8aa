import { expect, it } from "vitest";
import { roundHalfToEven } from "@mrcnn/core";

it("rounds halves to the even neighbour, as numpy.around", () => {
  const values = [-2.5, -1.5, -0.6, -0.5, -0.4, 0.4, 0.5, 0.6, 1.5, 2.5, 3.499999, 7];
  // numpy.around of these.
  expect(values.map((value) => roundHalfToEven(value) + 0)).toEqual([-2, -2, -1, 0, 0, 0, 0, 1, 2, 2, 3, 7]);
});
