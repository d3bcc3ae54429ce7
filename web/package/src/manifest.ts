// `conclave.json`, as far as a download needs it: which files there are, with their hashes and perhaps their sizes.

import { AggregatorError } from "./errors.js";

export const MANIFEST = "conclave.json";

/** A file of a model directory. */
export interface ModelFile {
  name: string;
  sha256: string;
  /** Bytes, where the manifest says. */
  size?: number;
}

/** The newest format that is read. */
const FORMAT = 2;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether the module reads this file; a directory may hold others, such as a card or tokenizers of other programs. */
const isNeeded = (name: string) =>
  ["config.json", "generation_config.json", "tokenizer.json"].includes(name) || /\.safetensors(\.index\.json)?$/.test(name);

/** Reads a manifest: the small files first, so that a wrong directory is noticed before its weights are fetched. */
export function readManifest(bytes: Uint8Array): ModelFile[] {
  const broken = (what: string) => new AggregatorError("format", `${MANIFEST}: ${what}`);
  let manifest: unknown;
  try {
    manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    // Often a page for people, which a server sends in place of what is not there.
    const remedy = "Check the address: it has to lead to a model directory, which has a conclave.json.";
    throw new AggregatorError("format", `${MANIFEST}: is not JSON`, { remedy, cause });
  }
  if (!isObject(manifest)) throw broken("expected an object");
  if (typeof manifest["format"] === "number" && manifest["format"] > FORMAT) {
    const message = `${MANIFEST}: has format ${manifest["format"]}, this release reads up to ${FORMAT}`;
    throw new AggregatorError("unsupported", message, { remedy: "Use a newer release of @conclave/web." });
  }
  if (!isObject(manifest["files"])) throw broken("`files`: expected the sha256 of every file by name");
  const sizes = isObject(manifest["sizes"]) ? manifest["sizes"] : {};
  const files: ModelFile[] = [];
  for (const [name, sha256] of Object.entries(manifest["files"])) {
    if (!isNeeded(name)) continue;
    // A name that leads elsewhere would be fetched from there.
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw broken(`\`${name}\` is not the name of a file`);
    if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw broken(`the sha256 of \`${name}\`: expected 64 hexadecimal digits`);
    }
    const size = sizes[name];
    files.push(typeof size === "number" && size >= 0 ? { name, sha256, size } : { name, sha256 });
  }
  for (const name of ["config.json", "tokenizer.json"]) {
    if (!files.some((file) => file.name === name)) throw broken(`names no ${name}`);
  }
  if (!files.some((file) => file.name.endsWith(".safetensors") && file.name !== "selftest.safetensors")) {
    throw broken("names no weights (*.safetensors)");
  }
  const order = (file: ModelFile) => (file.name.endsWith(".json") ? 0 : file.name.startsWith("selftest") ? 1 : 2);
  return files.sort((a, b) => order(a) - order(b) || (a.name < b.name ? -1 : 1));
}

/** The address of a model directory, with a slash at its end. */
export function directoryUrl(model: string, base: string | undefined): string {
  let url: URL;
  try {
    url = new URL(model, base);
  } catch (cause) {
    throw new AggregatorError("input", `model: expected a URL or "builtin", not "${model}"`, { cause });
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new AggregatorError("input", `model: expected an http or https address, not ${url.protocol}`);
  }
  url.hash = "";
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}

/** The address of a file in it. What stands behind a question mark (a signature, say) is kept. */
export function fileUrl(directory: string, name: string): string {
  const url = new URL(directory);
  url.pathname += name;
  return url.href;
}
