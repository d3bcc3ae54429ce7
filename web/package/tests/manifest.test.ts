// Manifests and addresses: what is read, and what is refused by name.

import assert from "node:assert/strict";
import { test } from "node:test";
import { directoryUrl, fileUrl, readManifest } from "../src/manifest.js";
import { failure } from "./fakes/expect.js";

const HASH = "0123456789abcdef".repeat(4);
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const files = (...names: string[]) => Object.fromEntries(names.map((name) => [name, HASH]));
const USUAL = ["tokenizer.json", "model.safetensors", "config.json"];

test("what is needed, small files first", () => {
  const manifest = {
    format: 1,
    files: files(...USUAL, "README.md", "merges.txt", "vocab.json", "generation_config.json", "selftest.safetensors"),
    sizes: { "model.safetensors": 12, "config.json": "large", "tokenizer.json": -1 },
  };
  assert.deepEqual(readManifest(bytes(manifest)), [
    { name: "config.json", sha256: HASH },
    { name: "generation_config.json", sha256: HASH },
    { name: "tokenizer.json", sha256: HASH },
    { name: "selftest.safetensors", sha256: HASH },
    { name: "model.safetensors", sha256: HASH, size: 12 },
  ]);
  const shards = ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const names = readManifest(bytes({ files: files("config.json", "tokenizer.json", ...shards) })).map(({ name }) => name);
  assert.deepEqual(names, ["config.json", shards[0], "tokenizer.json", ...shards.slice(1)]);
});

test("what is not a manifest", () => {
  const refused = (value: unknown, part: string) => assert.throws(() => readManifest(bytes(value)), failure("format", part));
  refused("<!doctype html>", "is not JSON");
  refused("", "is not JSON");
  assert.throws(() => readManifest(Uint8Array.of(0x22, 0xff, 0x22)), failure("format", "is not JSON"));
  for (const value of [[], null, 7, "7"]) refused(bytes(value) && JSON.stringify(value), "expected an object");
  refused({}, "`files`");
  refused({ files: [] }, "`files`");
  refused({ files: files("config.json", "model.safetensors") }, "tokenizer.json");
  refused({ files: files("config.json", "tokenizer.json", "selftest.safetensors") }, "names no weights");
  for (const name of ["../x.safetensors", "a/b.safetensors", "https:x.safetensors", ".x.safetensors", "x y.safetensors", "x@0.safetensors"]) {
    refused({ files: files(...USUAL, name) }, "is not the name of a file");
  }
  for (const hash of [7, null, "", HASH.toUpperCase(), `${HASH}0`]) {
    refused({ files: { ...files(...USUAL), "config.json": hash } }, "64 hexadecimal digits");
  }
  assert.throws(() => readManifest(bytes({ format: 3, files: files(...USUAL) })), failure("unsupported", "format 3"));
});

test("addresses of directories and of files in them", () => {
  assert.equal(directoryUrl("https://a.org/m", undefined), "https://a.org/m/");
  assert.equal(directoryUrl("m/", "https://a.org/x/y.html"), "https://a.org/x/m/");
  assert.equal(directoryUrl("/m?key=1#x", "http://a.org/"), "http://a.org/m/?key=1");
  assert.equal(fileUrl("http://a.org/m/?key=1", "config.json"), "http://a.org/m/config.json?key=1");
  assert.throws(() => directoryUrl("m", undefined), failure("input", "expected a URL"));
  for (const url of ["file:///m", "data:,x", "blob:http://a.org/1", "javascript:1"]) {
    assert.throws(() => directoryUrl(url, "http://a.org/"), failure("input", "http or https"));
  }
});
