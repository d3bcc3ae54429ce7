// Model directories as maps of bytes by file name, made of what the repository has.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(`../../../${relative}`, import.meta.url));
const TINY = "crates/model/assets/tiny";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const readFolder = (folder) =>
  new Map(readdirSync(path(folder)).map((name) => [name, readFileSync(path(`${folder}/${name}`))]));

/** The model within the package, as a directory. */
export const tiny = () => readFolder(TINY);

/** That model with other many layers, which repeat its own: as fast as a model with so many would be, and as wrong. */
export function tinyWithLayers(count) {
  const files = tiny();
  const config = JSON.parse(files.get("config.json"));
  const own = config.num_hidden_layers;
  // No token ends a completion.
  Object.assign(config, { num_hidden_layers: count, max_window_layers: count, eos_token_id: config.vocab_size - 1 });
  files.set("config.json", Buffer.from(JSON.stringify(config)));
  files.delete("generation_config.json");
  files.delete("selftest.safetensors");
  const { header, data } = readSafetensors(files.get("model.safetensors"));
  const parts = [];
  const tensors = {};
  let at = 0;
  const add = (name, { data_offsets: [start, end], ...rest }) => {
    tensors[name] = { ...rest, data_offsets: [at, at + end - start] };
    parts.push(data.subarray(start, end));
    at += end - start;
  };
  for (const [name, tensor] of Object.entries(header)) {
    const [, layer, rest] = /^model\.layers\.(\d+)\.(.*)$/.exec(name) ?? [];
    if (name === "__metadata__") continue;
    if (layer === undefined) add(name, tensor);
    else for (let copy = Number(layer); copy < count; copy += own) add(`model.layers.${copy}.${rest}`, tensor);
  }
  const json = Buffer.from(JSON.stringify(tensors));
  const padded = Buffer.concat([json, Buffer.alloc(-json.length & 7, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  files.set("model.safetensors", Buffer.concat([length, padded, ...parts]));
  return withManifest(files);
}

/**
 * A fixture of tests/data/parity (written by transformers) as a directory whose known-answer test holds it to what
 * transformers computes for it.
 */
export function parity(name) {
  const files = readFolder(`tests/data/parity/${name}`);
  files.set("selftest.safetensors", files.get("expected.safetensors"));
  files.delete("expected.safetensors");
  files.delete("training.safetensors");
  const { vocab_size } = JSON.parse(files.get("config.json"));
  files.set("tokenizer.json", tokenizer(vocab_size));
  return withManifest(files);
}

/** As many words as the model has rows: then none of them is left out of the greedy choice. */
function tokenizer(vocabSize) {
  const tokenizer = JSON.parse(readFileSync(path(`${TINY}/tokenizer.json`)));
  const { vocab } = tokenizer.model;
  for (let id = Object.keys(vocab).length; id < vocabSize; id++) vocab[`word${id}`] = id;
  return Buffer.from(JSON.stringify(tokenizer));
}

/** Names the hashes of all files. */
export function withManifest(files) {
  const manifest = JSON.parse(files.get("conclave.json") ?? '{"format":1}');
  files.delete("conclave.json");
  manifest.files = Object.fromEntries([...files].map(([name, bytes]) => [name, sha256(bytes)]));
  files.set("conclave.json", Buffer.from(JSON.stringify(manifest)));
  return files;
}

/** Multiplies one number of an f32 tensor, in whichever file it stands. */
export function scaleWeight(files, tensor, index, factor) {
  for (const [name, bytes] of files) {
    if (!name.endsWith(".safetensors") || name === "selftest.safetensors") continue;
    const { header, data } = readSafetensors(bytes);
    if (header[tensor]?.dtype !== "F32") continue;
    const at = bytes.length - data.length + header[tensor].data_offsets[0] + 4 * index;
    const copy = Buffer.from(bytes);
    copy.writeFloatLE(copy.readFloatLE(at) * factor, at);
    files.set(name, copy);
    return;
  }
  throw new Error(`no file has an f32 tensor ${tensor}`);
}

/** The header of a safetensors file, and the bytes behind it, from which its offsets count. */
function readSafetensors(bytes) {
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  return { header: JSON.parse(bytes.toString("utf8", 8, start)), data: bytes.subarray(start) };
}
