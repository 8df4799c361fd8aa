/** Explains errors in plain words. */
import { isMrcnnError } from "@mrcnn/core";

/** A problem, explained to a user of the page. */
export interface Problem {
  /** Title of a few words. */
  readonly title: string;
  /** Advice on what to do. */
  readonly advice: string;
  /** The error's own message. */
  readonly detail: string;
}

/** The action during which the error occurred. */
export type Doing = "load" | "detect" | "image" | "camera";

const MEMORY =
  /out of memory|allocation failed|array buffer allocation|cannot enlarge memory|invalid typed array length|invalid array length|memory\.grow|maximum (array|memory)|buffer size .* exceeds|exceeds the max buffer/i;

/** Tells whether an error means that any kind of memory was exhausted. */
export const isOutOfMemory = (error: unknown): boolean =>
  isMrcnnError(error, "memory") ||
  (error instanceof Error && (error.name === "RangeError" || MEMORY.test(error.message)));

/** Explains an error in plain words, with advice. */
export function problemOf(error: unknown, doing: Doing): Problem {
  const detail = error instanceof Error ? error.message : String(error);
  const name = error instanceof Error ? error.name : "";
  const say = (title: string, advice: string): Problem => ({ title, advice, detail });
  if (isOutOfMemory(error)) {
    return say(
      "Not enough memory",
      doing === "load" ?
        "Close other tabs, or choose a smaller model."
      : "Choose a smaller network input beside the picture, a smaller picture, or a smaller model.",
    );
  }
  if (doing === "camera") {
    if (name === "NotAllowedError")
      return say("The camera may not be used", "Allow it in the browser's address bar, then start it again.");
    if (name === "NotFoundError" || name === "OverconstrainedError")
      return say("No camera was found", "Connect one, or open a video file instead.");
    if (name === "NotReadableError")
      return say("The camera is busy", "Close the program that uses it, then start it again.");
    return say("The camera can't be used", "Pages may use it over https or on localhost only.");
  }
  if (doing === "image" || isMrcnnError(error, "dataset")) {
    return say(
      "This image can't be read",
      "It may be damaged or of a kind that browsers don't know. PNG, JPEG, WebP, AVIF and GIF work.",
    );
  }
  if (isMrcnnError(error, "weights")) {
    if (/can't be reached|offline|server answers|broke off|sent nothing/.test(detail))
      return say(
        "The weights could not be downloaded",
        "Check the connection and the address, then try again: what came so far is kept. Servers of other sites must allow it (CORS).",
      );
    if (/web page instead of weights/.test(detail))
      return say(
        "That address is not a weights file",
        "It leads to a web page. Copy the address of the file itself.",
      );
    if (/first download/.test(detail))
      return say(
        "That file has changed",
        "It is not the one that was loaded from there before. Clear what is kept on this device to take the new one.",
      );
    if (/sha256/.test(detail))
      return say("The download is damaged", "It is not the file that was published. Try again.");
    return say(
      "These weights can't be used",
      "They must be of a Mask, Faster or Keypoint R-CNN: .pth of torchvision, .pkl of detectron2, .h5 of matterport, .safetensors, or the folder of a training.",
    );
  }
  if (isMrcnnError(error, "backend"))
    return say(
      "This backend does not start here",
      "Choose another one at the top right; WebAssembly works in every current browser.",
    );
  if (isMrcnnError(error, "config"))
    return say(
      doing === "load" ? "This model can't be set up" : "This image does not fit the model",
      doing === "load" ?
        "Its settings are damaged, or not those of a model: the details say which."
      : "See the details.",
    );
  return say(
    doing === "load" ? "The model could not be loaded" : "Detection failed",
    "Try again. If it stays so, reload the page or choose another backend.",
  );
}
