/** The dialog for choosing a model. */
import { byId, make, megabytes } from "./dom.ts";
import { filesOfInput } from "./files.ts";
import type { ModelSource } from "./protocol.ts";
import { clearKept, keptFiles } from "./storage.ts";

/**
 * Creates the dialog; `bundled` is the model that comes with the page. `onChoose` is called once the dialog
 * is closed.
 */
export function createModelDialog(
  bundled: ModelSource,
  onChoose: (source: ModelSource) => void,
): { open(): void } {
  const dialog = byId("model-dialog", HTMLDialogElement);
  const weights = byId("weights-file", HTMLInputElement);
  const folder = byId("run-folder", HTMLInputElement);
  const choose = (source: ModelSource): void => {
    dialog.close();
    onChoose(source);
  };
  byId("use-bundled", HTMLButtonElement).addEventListener("click", () => choose(bundled));
  byId("choose-weights", HTMLButtonElement).addEventListener("click", () => weights.click());
  byId("choose-run", HTMLButtonElement).addEventListener("click", () => folder.click());
  for (const input of [weights, folder]) {
    input.addEventListener("change", () => {
      const files = filesOfInput(input);
      input.value = "";
      if (files.length > 0) choose({ kind: "files", files });
    });
  }
  const url = byId("weights-url", HTMLInputElement);
  byId("url-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void import("@mrcnn/mask-rcnn/catalog").then(({ findInCatalog, catalogHint }) => {
      const text = url.value.trim();
      const isName = findInCatalog(text) !== undefined;
      const address =
        isName || !URL.canParse(text, document.baseURI) || !/[./]/.test(text) ?
          undefined
        : new URL(text, document.baseURI).href;
      url.setCustomValidity(
        isName || address !== undefined ?
          ""
        : `This is neither an address nor in the catalog. ${catalogHint(text)}`,
      );
      if (url.reportValidity()) choose({ kind: "url", weights: address ?? text });
    });
  });
  url.addEventListener("input", () => url.setCustomValidity(""));
  byId("clear", HTMLButtonElement).addEventListener("click", () => void clearKept().then(listKept));

  async function listKept(): Promise<void> {
    const files = await keptFiles();
    byId("kept", HTMLUListElement).replaceChildren(
      ...files.map(({ url: from, bytes }) =>
        make("li", { title: from }, make("span", {}, nameOf(from)), make("span", {}, megabytes(bytes))),
      ),
    );
    byId("kept-size", HTMLSpanElement).textContent =
      files.length === 0 ?
        "Nothing yet."
      : `${megabytes(files.reduce((sum, { bytes }) => sum + bytes, 0))} together`;
    byId("clear", HTMLButtonElement).disabled = files.length === 0;
  }

  return {
    open() {
      void listKept();
      void import("@mrcnn/mask-rcnn/catalog").then(({ catalog }) => {
        byId("catalog-names", HTMLDataListElement).replaceChildren(
          ...catalog.map(({ name }) => make("option", { value: name })),
        );
      });
      dialog.showModal();
    },
  };
}

function nameOf(url: string): string {
  const { pathname, searchParams } = new URL(url);
  return `${pathname.split("/").slice(-2).join("/")}${searchParams.has("mrcnn-part") ? " (a part)" : ""}`;
}
