/** The public names of @mrcnn/boxes/tensors, which need TensorFlow.js. */
export { boxArea, clipBoxes, decodeBoxes, encodeBoxes, pairwiseIou } from "./boxes.ts";
