import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { headers, policy } from "./csp.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** The policy as the first thing in the built page, for servers that send no headers. */
function contentSecurityPolicy(): Plugin {
  return {
    name: "content-security-policy",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: () => [
        {
          tag: "meta",
          attrs: { "http-equiv": "Content-Security-Policy", content: policy("meta") },
          injectTo: "head-prepend",
        },
      ],
    },
  };
}

/** KaTeX names each font in three formats; every browser with WebAssembly reads woff2. */
function woff2Only(): Plugin {
  return {
    name: "woff2-only",
    enforce: "pre",
    transform(code, id) {
      if (!/katex(\.min)?\.css/.test(id)) return null;
      return { code: code.replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\("[^"]*"\)/g, ""), map: null };
    },
  };
}

export default defineConfig(({ mode }) => ({
  // Relative, so that the page can be served from any folder.
  base: "./",
  resolve: {
    alias: { "@conclave/web": mode === "fake" ? path("fake/conclave-web.ts") : path("../web/package") },
  },
  plugins: [contentSecurityPolicy(), woff2Only()],
  worker: { format: "es" },
  build: {
    outDir: mode === "fake" ? "dist-fake" : "dist",
    target: "es2022",
    // A font or module in a data: address would need a hole in the policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    headers: headers("development"),
    // The examples and the package lie beside this folder.
    fs: { allow: [path("..")] },
  },
  preview: { host: "127.0.0.1", port: 8787, headers: headers("header") },
}));
