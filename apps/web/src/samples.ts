/** The sample images. */
import { nucleiSamples } from "@mrcnn/nuclei";
import { make } from "./dom.ts";

/** Creates the buttons of the sample images that this project generates. */
export function samples(onChoose: (url: URL, name: string) => void): HTMLElement[] {
  return nucleiSamples().map(({ name, url }) =>
    make(
      "button",
      {
        type: "button",
        ariaLabel: `Sample: ${name}`,
        title: name,
        onclick: () => onChoose(url, `${name}.webp`),
      },
      make("img", { src: url.href, alt: "", width: 112, height: 112 }),
    ),
  );
}
