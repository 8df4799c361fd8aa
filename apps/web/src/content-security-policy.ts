/** The content security policy of the page and its workers. */

/**
 * What the page may load and run. Scripts, workers and styles come from the site's own files only, and no
 * inline code runs; WebAssembly is compiled, and the threads of backend wasm are workers made from a blob: of
 * the page. Images and videos are files that the user chose (blob:) or the site's; small ones are built in
 * (data:). Requests may go to any address, as weights are loaded from wherever the user says; they carry no
 * data of the page.
 */
const directives: Readonly<Record<string, string>> = {
  "default-src": "'none'",
  "script-src": "'self' 'wasm-unsafe-eval'",
  "worker-src": "'self' blob:",
  "style-src": "'self'",
  "img-src": "'self' blob: data:",
  "media-src": "'self' blob:",
  "connect-src": "'self' https: http: blob: data:",
  "manifest-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'none'",
};

/** The policy as one line: a meta tag of the built page, and a header of its workers. */
export const contentSecurityPolicy: string = Object.entries(directives)
  .map(([name, sources]) => `${name} ${sources}`)
  .join("; ");
