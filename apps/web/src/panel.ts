/** The side panel. */
import { backends } from "./backends.ts";
import { byId, make, plural, seconds } from "./dom.ts";
import { colorOf } from "./draw.ts";
import type { View } from "./draw.ts";
import type { DetectOptions, Found, ModelInfo } from "./protocol.ts";

/** Which of an image's objects are shown. */
export interface Filter {
  readonly threshold: number;
  /** Labels that are hidden. */
  readonly hidden: ReadonlySet<number>;
}

/** Returns the objects that pass the filter, as indices into the detections. */
export function passing({ detections: { scores, labels } }: Found, { threshold, hidden }: Filter): number[] {
  return Array.from(scores.keys()).filter((i) => scores[i]! >= threshold && !hidden.has(labels[i]!));
}

/** The side panel. */
export interface Panel {
  readonly filter: Filter;
  readonly show: Pick<View, "masks" | "boxes" | "labels">;
  /** Options of the detection. */
  readonly options: DetectOptions;
  /** Sets the classes and the lowest score of a newly loaded model. */
  setModel(model: ModelInfo): void;
  update(state: PanelState): void;
}

/** State that the panel shows. */
export interface PanelState {
  readonly model: ModelInfo | undefined;
  readonly found: Found | undefined;
  readonly shown: readonly number[];
  readonly selected: number | undefined;
  /** Text beside the time: the state of an image that is not done. */
  readonly note?: string | undefined;
}

/** Callbacks for the user's changes. */
export interface PanelEvents {
  /** The filter or the drawing has changed: nothing has to be computed again. */
  readonly onView: () => void;
  readonly onSelect: (object: number | undefined) => void;
  readonly onHover: (object: number | undefined) => void;
  readonly onOptions: () => void;
}

const numberOf = ({ value }: HTMLSelectElement): number | undefined =>
  value === "" ? undefined : Number(value);

// A guessed setting may be the reason why a model finds nothing.
function showAssumed({ name, assumed, notes }: ModelInfo): void {
  byId("assumed", HTMLDetailsElement).hidden = assumed.length + notes.length === 0;
  byId("assumed-title", HTMLElement).textContent =
    assumed.length === 0 ? "Chosen of this model" : `${plural(assumed.length, "setting")} assumed`;
  const guess =
    assumed.length === 0 ?
      []
    : [
        `${name} does not say, so this is assumed: ${assumed.join(" ")}. \`mrcnn convert --set path=value\` writes weights that say it.`,
      ];
  byId("assumed-text", HTMLParagraphElement).textContent = [...notes, ...guess].join(" ");
}

/** Creates the panel in the elements inside #panel. */
export function createPanel(events: PanelEvents): Panel {
  const threshold = byId("threshold", HTMLInputElement);
  const detail = byId("detail", HTMLSelectElement);
  const most = byId("most", HTMLSelectElement);
  const list = byId("objects", HTMLUListElement);
  const classes = byId("class-list", HTMLDivElement);
  const toggles = {
    masks: byId("show-masks", HTMLInputElement),
    boxes: byId("show-boxes", HTMLInputElement),
    labels: byId("show-labels", HTMLInputElement),
  };
  const hidden = new Set<number>();
  let listed: { found: Found; shown: string } | undefined;
  let model: ModelInfo | undefined;
  let shown: readonly number[] = [];
  let selected: number | undefined;

  threshold.addEventListener("input", events.onView);
  for (const choice of [detail, most]) choice.addEventListener("change", events.onOptions);
  for (const toggle of Object.values(toggles)) toggle.addEventListener("change", events.onView);

  const objectOf = (event: Event): number | undefined => {
    const item = event.target instanceof Element ? event.target.closest<HTMLLIElement>("li") : null;
    return item === null ? undefined : Number(item.dataset["object"]);
  };
  list.addEventListener("click", (event) => {
    const object = objectOf(event);
    if (object !== undefined) events.onSelect(object === selected ? undefined : object);
  });
  list.addEventListener("pointerover", (event) => events.onHover(objectOf(event)));
  list.addEventListener("pointerleave", () => events.onHover(undefined));
  list.addEventListener("keydown", (event) => {
    const at = selected === undefined ? -1 : shown.indexOf(selected);
    const next = { ArrowDown: at + 1, ArrowUp: Math.max(0, at - 1), Home: 0, End: shown.length - 1 }[
      event.key
    ];
    if (event.key === "Escape") events.onSelect(undefined);
    else if (next !== undefined && shown.length > 0) {
      event.preventDefault();
      events.onSelect(shown[Math.min(next, shown.length - 1)]);
    }
  });

  function listObjects(found: Found | undefined): void {
    const key = shown.join();
    if (found === undefined) list.replaceChildren();
    else if (listed?.found !== found || listed.shown !== key) {
      const { labels, scores } = found.detections;
      list.replaceChildren(
        ...shown.map((i) => {
          const item = make(
            "li",
            { id: `object-${i}`, role: "option" },
            Object.assign(make("i"), { style: `background:${colorOf(i)}` }),
            nameOf(labels[i]!),
            make("span", {}, scores[i]!.toFixed(2)),
          );
          item.dataset["object"] = String(i);
          return item;
        }),
      );
    }
    listed = found === undefined ? undefined : { found, shown: key };
    for (const item of list.children) {
      const isSelected = Number((item as HTMLElement).dataset["object"]) === selected;
      if (item.ariaSelected === String(isSelected)) continue;
      item.ariaSelected = String(isSelected);
      if (isSelected) item.scrollIntoView({ block: "nearest" });
    }
    if (selected !== undefined && shown.includes(selected))
      list.setAttribute("aria-activedescendant", `object-${selected}`);
    else list.removeAttribute("aria-activedescendant");
  }

  const nameOf = (label: number): string => model?.categories[label - 1]?.name ?? `class ${label}`;

  // Only classes that occur are listed: COCO has eighty.
  function listClasses(found: Found | undefined): void {
    const counts = new Map<number, number>();
    for (const [i, label] of (found?.detections.labels ?? new Int32Array()).entries()) {
      counts.set(
        label,
        (counts.get(label) ?? 0) + Number(found!.detections.scores[i]! >= Number(threshold.value)),
      );
    }
    for (const label of hidden) if (!counts.has(label)) counts.set(label, 0);
    const rows = [...counts]
      .filter(([label, count]) => count > 0 || hidden.has(label))
      .toSorted((a, b) => b[1] - a[1] || a[0] - b[0]);
    const known = new Map(
      [...classes.children].map((row) => [
        Number((row as HTMLElement).dataset["label"]),
        row as HTMLLabelElement,
      ]),
    );
    classes.replaceChildren(
      ...rows.map(([label, count]) => {
        const row = known.get(label) ?? classRow(label);
        row.lastElementChild!.textContent = String(count);
        return row;
      }),
    );
    byId("classes", HTMLFieldSetElement).hidden = rows.length === 0;
  }

  function classRow(label: number): HTMLLabelElement {
    const box = make("input", { type: "checkbox", checked: !hidden.has(label) });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(label);
      else hidden.add(label);
      events.onView();
    });
    const row = make("label", {}, box, make("span", {}, nameOf(label)), make("span"));
    row.dataset["label"] = String(label);
    return row;
  }

  return {
    get filter() {
      return { threshold: Number(threshold.value), hidden };
    },
    get show() {
      return { masks: toggles.masks.checked, boxes: toggles.boxes.checked, labels: toggles.labels.checked };
    },
    get options() {
      return { minSize: numberOf(detail), maxDetections: numberOf(most) };
    },
    setModel(next) {
      model = next;
      hidden.clear();
      classes.replaceChildren();
      threshold.min = next.scoreThreshold.toFixed(2);
      most.options[0]!.textContent = plural(next.maxDetections, "object");
      if (!next.hasMasks) toggles.boxes.checked = true;
      toggles.masks.disabled = !next.hasMasks;
      showAssumed(next);
    },
    update(state) {
      ({ shown, selected } = state);
      const { found, note } = state;
      byId("threshold-value", HTMLOutputElement).value = Number(threshold.value).toFixed(2);
      byId("summary", HTMLHeadingElement).textContent =
        found === undefined ? "Objects" : summaryOf(found, shown, nameOf);
      const { model: by } = state;
      byId("timing", HTMLParagraphElement).textContent =
        note ??
        (found === undefined || by === undefined ?
          ""
        : `${found.size.width} × ${found.size.height}, ${seconds(found.seconds)} on ${titleOf(by)}`);
      listClasses(found);
      listObjects(found);
      for (const id of ["save-png", "save-cutout", "save-coco", "copy"])
        byId(id, HTMLButtonElement).disabled =
          found === undefined || (id === "save-cutout" && shown.length === 0);
    },
  };
}

/** Returns the backend's title: "WebAssembly, 2 threads". */
export const titleOf = ({ backend, device }: ModelInfo): string =>
  `${backends.find(({ name }) => name === backend)!.title}${device === "" ? "" : `, ${device}`}`;

/** Counts the objects: "12 nuclei" where there is one class, "12 objects" otherwise. */
function summaryOf(
  { detections: { labels } }: Found,
  shown: readonly number[],
  nameOf: (label: number) => string,
): string {
  const kinds = new Set(shown.map((i) => labels[i]!));
  if (kinds.size !== 1) return plural(shown.length, "object");
  return `${shown.length} × ${nameOf([...kinds][0]!)}`;
}
