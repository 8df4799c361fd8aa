/** Test setup: the plain JavaScript backend of TensorFlow.js, with every gradient registered. */
import * as tf from "@tensorflow/tfjs";

await tf.setBackend("cpu");
