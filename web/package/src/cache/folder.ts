// The files of one model in a store of blobs: complete ones, and partial ones that can be continued.
//
// A file is a row of blocks, each a blob under the place where it starts, and an index that names their lengths. The
// index is written after its block: what it names is there, and what was lost with a closed tab is one block at most.

import { AggregatorError } from "../errors.js";
import { sha256 } from "../sha256.js";
import type { CachedModel } from "../types.js";
import type { Blobs } from "./blobs.js";

/** Bytes that are gathered before they are written. */
export const BLOCK_BYTES = 8 << 20;

interface FileIndex {
  /** The hash that the file is to have. */
  sha256: string;
  /** Lengths of the blocks, in order. */
  blocks: number[];
  /** Whether all bytes are there and had the hash. */
  complete: boolean;
}

/** What is known of a model: its address, and the files that it has when it is complete. */
interface ModelRecord {
  model: string;
  files: Record<string, string>;
}

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const lengthOf = (index: FileIndex) => index.blocks.reduce((sum, length) => sum + length, 0);

/** JSON that we wrote; undefined where it is missing or damaged, which is the same: it is fetched again. */
async function readJson<T>(blobs: Blobs, key: string): Promise<T | undefined> {
  const bytes = await blobs.get(key);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  } catch {
    return undefined;
  }
}

export class ModelFolder {
  readonly #blobs: Blobs;
  readonly #model: string;
  readonly #id: string;
  readonly #blockBytes: number;
  readonly #indices = new Map<string, FileIndex | undefined>();

  constructor(blobs: Blobs, model: string, blockBytes = BLOCK_BYTES) {
    this.#blobs = blobs;
    this.#model = model;
    this.#id = idOf(model);
    this.#blockBytes = blockBytes;
  }

  /** The files of the model with their hashes, where all of them are there. */
  async completeFiles(): Promise<Record<string, string> | undefined> {
    const files = (await readJson<ModelRecord>(this.#blobs, `${this.#id}.model`))?.files;
    if (files === undefined) return undefined;
    for (const [file, hash] of Object.entries(files)) {
      const index = await this.#index(file);
      if (!index?.complete || index.sha256 !== hash) return undefined;
    }
    return files;
  }

  /** Says which files the model has; others that are kept of it, of an earlier state, are deleted. */
  async begin(files: Record<string, string>): Promise<void> {
    await this.#blobs.put(`${this.#id}.model`, encode({ model: this.#model, files } satisfies ModelRecord));
    const prefix = `${this.#id}.`;
    for (const key of await this.#blobs.keys()) {
      const file = key.startsWith(prefix) ? fileOf(key.slice(prefix.length)) : undefined;
      if (file !== undefined && !(file in files)) await this.#blobs.delete(key);
    }
  }

  /** Bytes of a file that is complete. */
  async length(file: string): Promise<number | undefined> {
    const index = await this.#index(file);
    return index?.complete ? lengthOf(index) : undefined;
  }

  /** Bytes that are there of a file that is to have this hash; 0 of one with another. */
  async partialLength(file: string, hash: string): Promise<number> {
    const index = await this.#index(file);
    return index?.sha256 === hash ? lengthOf(index) : 0;
  }

  /** Bytes `start` to `end` of a complete file. */
  async read(file: string, start: number, end: number): Promise<Uint8Array> {
    const index = await this.#index(file);
    const length = index?.complete ? lengthOf(index) : 0;
    if (index === undefined || start < 0 || start > end || end > length) {
      throw new AggregatorError("format", `${file}: ends at byte ${length}, bytes ${start} to ${end} were asked for`);
    }
    const bytes = new Uint8Array(end - start);
    let at = 0;
    for (const block of index.blocks) {
      const [from, to] = [Math.max(start - at, 0), Math.min(end - at, block)];
      if (from < to) bytes.set(await this.#block(file, at, from, to), at + from - start);
      at += block;
    }
    return bytes;
  }

  /** The bytes that are there, block by block. */
  async *blocks(file: string): AsyncGenerator<Uint8Array> {
    let at = 0;
    for (const length of (await this.#index(file))?.blocks ?? []) {
      yield await this.#block(file, at, 0, length);
      at += length;
    }
  }

  /** Writes on behind what is there of the file with this hash. */
  async writer(file: string, hash: string): Promise<FileWriter> {
    const found = await this.#index(file);
    if (found !== undefined && found.sha256 !== hash) await this.remove(file);
    const index = found?.sha256 === hash ? found : { sha256: hash, blocks: [], complete: false };
    const save = async () => {
      this.#indices.set(file, index);
      await this.#blobs.put(`${this.#id}.${file}.index`, encode(index));
    };
    const append = async (bytes: Uint8Array) => {
      await this.#blobs.put(`${this.#id}.${file}@${lengthOf(index)}`, bytes);
      index.blocks.push(bytes.length);
      await save();
    };
    const complete = async () => {
      index.complete = true;
      await save();
    };
    return new FileWriter(this.#blockBytes, append, complete);
  }

  async remove(file: string): Promise<void> {
    const index = await this.#index(file);
    // The index first: blocks without one are nothing, an index without its blocks would be a lie.
    this.#indices.set(file, undefined);
    await this.#blobs.delete(`${this.#id}.${file}.index`);
    let at = 0;
    for (const length of index?.blocks ?? []) {
      await this.#blobs.delete(`${this.#id}.${file}@${at}`);
      at += length;
    }
  }

  async #block(file: string, at: number, from: number, to: number): Promise<Uint8Array> {
    const bytes = await this.#blobs.get(`${this.#id}.${file}@${at}`, from, to);
    if (bytes?.length !== to - from) {
      const remedy = "The browser dropped a part of its cache: load the model again.";
      throw new AggregatorError("format", `${file}: bytes from ${at + from} are gone from the cache`, { remedy });
    }
    return bytes;
  }

  async #index(file: string): Promise<FileIndex | undefined> {
    if (!this.#indices.has(file)) {
      this.#indices.set(file, await readJson<FileIndex>(this.#blobs, `${this.#id}.${file}.index`));
    }
    return this.#indices.get(file);
  }
}

/** Appends to a file, a block at a time. */
export class FileWriter {
  readonly #blockBytes: number;
  readonly #append: (bytes: Uint8Array) => Promise<void>;
  readonly #complete: () => Promise<void>;
  #chunks: Uint8Array[] = [];
  #gathered = 0;

  constructor(
    blockBytes: number,
    append: (bytes: Uint8Array) => Promise<void>,
    complete: () => Promise<void>,
  ) {
    this.#blockBytes = blockBytes;
    this.#append = append;
    this.#complete = complete;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#gathered += bytes.length;
    if (this.#gathered >= this.#blockBytes) await this.flush();
  }

  /** Keeps what was gathered, however little. */
  async flush(): Promise<void> {
    if (this.#gathered === 0) return;
    const block = new Uint8Array(this.#gathered);
    let at = 0;
    for (const chunk of this.#chunks) {
      block.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [];
    this.#gathered = 0;
    await this.#append(block);
  }

  /** The file is whole and its hash is right. */
  async finish(): Promise<void> {
    await this.flush();
    await this.#complete();
  }
}

/** The models in a store. */
export async function listFolders(blobs: Blobs): Promise<CachedModel[]> {
  const models: CachedModel[] = [];
  const keys = await blobs.keys();
  for (const key of keys.filter((key) => key.endsWith(".model"))) {
    const record = await readJson<ModelRecord>(blobs, key);
    if (record === undefined) continue;
    const folder = new ModelFolder(blobs, record.model);
    let bytes = 0;
    for (const [file, hash] of Object.entries(record.files)) bytes += await folder.partialLength(file, hash);
    models.push({ model: record.model, bytes, complete: (await folder.completeFiles()) !== undefined });
  }
  return models.sort((a, b) => (a.model < b.model ? -1 : 1));
}

/** Deletes a model; whether there was one. */
export async function deleteFolder(blobs: Blobs, model: string): Promise<boolean> {
  const id = idOf(model);
  const record = await readJson<ModelRecord>(blobs, `${id}.model`);
  // By the record first: not every store can list its keys.
  const folder = new ModelFolder(blobs, model);
  for (const file of Object.keys(record?.files ?? {})) await folder.remove(file);
  await blobs.delete(`${id}.model`);
  for (const key of await blobs.keys()) if (key.startsWith(`${id}.`)) await blobs.delete(key);
  return record !== undefined;
}

/** A name for a model's address that every store can have. */
function idOf(model: string): string {
  return sha256(new TextEncoder().encode(model)).slice(0, 32);
}

/** Which file a key (without the model's part) belongs to. */
function fileOf(key: string): string | undefined {
  return /^(.+)(?:\.index|@\d+)$/.exec(key)?.[1];
}
