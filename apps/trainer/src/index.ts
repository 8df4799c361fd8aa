export { main } from "./main.ts";
export { processTerminal } from "./terminal.ts";
export type { Terminal } from "./terminal.ts";
