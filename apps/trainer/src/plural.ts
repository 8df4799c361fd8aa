/** "1 image", "2 images", "3 classes". */
export const plural = (count: number, noun: string): string =>
  `${count} ${noun}${
    count === 1 ? ""
    : noun.endsWith("s") ? "es"
    : "s"
  }`;
