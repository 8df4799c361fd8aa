import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { defineConfig } from "vite";
import type { Plugin } from "vite";
import { contentSecurityPolicy } from "./src/content-security-policy.ts";

const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const SERVICE_WORKER = "service-worker";
const publicDir = join(import.meta.dirname, "public");
const publicFiles = readdirSync(publicDir, { recursive: true, withFileTypes: true }).flatMap((one) =>
  one.isFile() ? [relative(publicDir, join(one.parentPath, one.name)).replaceAll("\\", "/")] : [],
);

/** Tells the service worker which files the site has. It must lie at the site's root, under a name that stays. */
function serviceWorker(): Plugin {
  return {
    name: "mrcnn:service-worker",
    apply: "build",
    enforce: "post",
    generateBundle(_, bundle) {
      const own = bundle[`${SERVICE_WORKER}.js`];
      if (own?.type !== "chunk")
        throw new Error("vite.config: the service worker must be among the build's chunks.");
      const hash = createHash("sha256");
      const files: string[] = [];
      const add = (name: string, content: string | Uint8Array): void => {
        hash.update(name).update(content);
        // The page itself is kept under the site's own address.
        if (name !== "index.html") files.push(name);
      };
      // Weights are kept elsewhere, once they are used.
      for (const [name, one] of Object.entries(bundle))
        if (one !== own && !name.endsWith(".safetensors"))
          add(name, one.type === "chunk" ? one.code : one.source);
      for (const name of publicFiles) add(name, readFileSync(join(publicDir, name)));
      const site = { version: hash.digest("hex").slice(0, 12), files };
      own.code = `const SITE = ${JSON.stringify(site)};\n${own.code}`;
    },
  };
}

/** Puts the policy into the built page, so that it holds on every host. vite's own server needs inline scripts. */
function policyTag(): Plugin {
  return {
    name: "mrcnn:content-security-policy",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: () => [
        {
          tag: "meta",
          attrs: { "http-equiv": "Content-Security-Policy", content: contentSecurityPolicy },
          injectTo: "head-prepend",
        },
      ],
    },
  };
}

export default defineConfig({
  base: "./",
  resolve: { conditions: ["@mrcnn/source", "module", "browser", "development|production"] },
  server: { headers: isolation },
  preview: { headers: { ...isolation, "Content-Security-Policy": contentSecurityPolicy } },
  worker: { format: "es" },
  plugins: [policyTag(), serviceWorker()],
  build: {
    target: "es2023",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      checks: { bundlerTimings: false },
      input: { index: "index.html", [SERVICE_WORKER]: `src/${SERVICE_WORKER}.ts` },
      output: {
        entryFileNames: ({ name }) => (name === SERVICE_WORKER ? "[name].js" : "assets/[name]-[hash].js"),
      },
    },
  },
});
