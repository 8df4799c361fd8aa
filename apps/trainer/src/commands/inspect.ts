import type { Terminal } from "../terminal.ts";

export interface InspectOptions {
  readonly images: string;
  readonly annotations: string;
}

/** `mrcnn inspect`. @returns the exit code. */
export async function inspect(_options: InspectOptions, _terminal: Terminal): Promise<number> {
  return 0;
}
