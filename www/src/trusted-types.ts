// The one Trusted Types policy of the page: the browser refuses text as HTML or script altogether, and as the address of a
// script everything but files of our own origin (the package's worker). Imported before anything else.

interface Factory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown;
}

const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
factory?.createPolicy("default", {
  createScriptURL(url) {
    if (new URL(url, document.baseURI).origin === location.origin) return url;
    throw new TypeError("scripts come from this page's own origin only");
  },
});
