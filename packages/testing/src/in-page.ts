/** Whether a suite runs in a page, where a software adapter takes minutes for what Node's does in seconds. */
export const inPage: boolean = "document" in globalThis;
