export { expectClose } from "./close.ts";
export { golden } from "./golden.ts";
export { expectGradients } from "./gradient-check.ts";
export { expectNoLeaks } from "./leaks.ts";
export { seededUniform } from "./seeded.ts";
