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

/**
 * KaTeX sets a few style attributes as text, which the policy refuses; set through the style object they are allowed. The
 * build fails where another version of KaTeX does it in another way.
 */
function stylesThroughObjects(): Plugin {
  const setting = /\bnode\.setAttribute\(attr, (this\.attributes\[attr\]|value)\);/g;
  return {
    name: "styles-through-objects",
    apply: "build",
    transform(code, id) {
      if (!id.endsWith("/katex/dist/katex.mjs")) return null;
      const found = code.match(setting)?.length ?? 0;
      if (found !== 4) this.error(`expected 4 places where KaTeX sets attributes, found ${found}`);
      const changed = 'if (attr === "style") node.style.cssText = $1; else node.setAttribute(attr, $1);';
      return { code: code.replace(setting, changed), map: null };
    },
  };
}

export default defineConfig(({ mode }) => ({
  // Relative, so that the page can be served from any folder.
  base: "./",
  resolve: {
    alias: { "@conclave/web": mode === "fake" ? path("fake/conclave-web.ts") : path("../web") },
  },
  plugins: [contentSecurityPolicy(), woff2Only(), stylesThroughObjects()],
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
