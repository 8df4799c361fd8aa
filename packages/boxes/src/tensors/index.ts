export { boxArea, clipBoxes, decodeBoxes, encodeBoxes, pairwiseIou } from "./boxes.ts";
