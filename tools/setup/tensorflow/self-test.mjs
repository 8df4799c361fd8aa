// @ts-check
/** Tests whether tfjs-node computes, in a process of its own. */
import { attempt } from "./process.mjs";

const PRODUCT = `
const tf = require(process.argv[1]);
if (tf.getBackend() !== "tensorflow") throw new Error("backend is " + tf.getBackend());
const [y] = tf.matMul([[1, 2]], [[3], [4]]).dataSync();
if (y !== 11) throw new Error("1*3 + 2*4 gave " + y);`;

// Lists as attributes: of types and of strings.
const PATCHES = `
const { TF_ATTR_INT, TF_ATTR_STRING, TF_ATTR_TYPE, TF_FLOAT, TF_INT32 } = tf.backend().binding;
const attr = (name, type, value) => ({ name, type, value });
const [a, b] = tf.backend().executeMultipleOutputs("IdentityN", [attr("T", TF_ATTR_TYPE, [TF_FLOAT, TF_INT32])], [tf.scalar(2), tf.scalar(3, "int32")], 2);
if (a.dataSync()[0] !== 2 || b.dataSync()[0] !== 3 || b.dtype !== "int32") throw new Error("IdentityN gave " + a + " and " + b);
const inputs = [tf.ones([1, 1, 1, 1]), tf.fill([1, 1, 1, 1], 2), tf.tensor1d([-5])];
const [fused] = tf.backend().executeSingleOutput("_FusedConv2D", [
  attr("T", TF_ATTR_TYPE, TF_FLOAT), attr("TArgs", TF_ATTR_TYPE, [TF_FLOAT]), attr("num_args", TF_ATTR_INT, 1),
  attr("strides", TF_ATTR_INT, [1, 1, 1, 1]), attr("padding", TF_ATTR_STRING, "SAME"), attr("fused_ops", TF_ATTR_STRING, ["BiasAdd", "Relu"]),
], inputs).dataSync();
if (fused !== 0) throw new Error("relu(1*2 - 5) gave " + fused);`;

/**
 * @param {string} folder where node_modules is
 * @param {{ patched: boolean, name: string }} addon how it was made, and of which package
 */
export function selfTest(folder, { patched, name }) {
  const script = `try {${PRODUCT}${patched ? PATCHES : ""}} catch (error) { console.error(String(error)); process.exitCode = 1; }`;
  return attempt(process.execPath, ["-e", script, name], {
    cwd: folder,
    timeout: 120_000,
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" },
  });
}
