/** The public names of @mrcnn/cli. */
export { main } from "./main.ts";
export { createProcessTerminal } from "./terminal.ts";
export type { ProcessTerminal, Terminal } from "./terminal.ts";
