// A model directory over HTTP into the cache: every file hashed while it streams, continued where it stopped, and
// refetched once where its bytes are wrong. A model that is all there is only checked, without the network.

import type { ModelFolder } from "./cache/folder.js";
import { AggregatorError, isAbort, throwIfAborted } from "./errors.js";
import { type Network, Transient, nameOf, request, untilStalled } from "./http.js";
import { MANIFEST, type ModelFile, fileUrl, readManifest } from "./manifest.js";
import { Sha256, sha256 } from "./sha256.js";
import type { LoadProgress } from "./types.js";

export interface DownloadOptions {
  signal: AbortSignal;
  onProgress(progress: LoadProgress): void;
}

/** The longest wait between two attempts, save where the server asks for another. */
const MAX_BACKOFF_MS = 8_000;
/** Attempts for one file, however much each of them brought. */
const MAX_ATTEMPTS = 1_000;
/** A manifest is small; anything else at its address is not one. */
const MAX_MANIFEST_BYTES = 4 << 20;

/** Makes every file of the model be in the folder, each checked against its hash. Returns their names. */
export async function fetchModel(
  directory: string,
  folder: ModelFolder,
  network: Network,
  options: DownloadOptions,
): Promise<string[]> {
  const sound = new Set<string>();
  const check = async (files: ModelFile[]) => {
    const totals = new Totals(files, options);
    for (const file of files) await totals.add(file, folder);
    // What was there before this call is read back and checked: a disk may have changed it since.
    for (const file of files) {
      if (!sound.has(file.sha256) && (await verify(file, folder, totals, options.signal))) sound.add(file.sha256);
    }
    return totals;
  };
  const cached = fromRecord(await folder.completeFiles());
  await check(cached);
  if (cached.length > 0 && cached.every((file) => sound.has(file.sha256))) return cached.map((file) => file.name);
  const files = await begin(directory, folder, network, options);
  const totals = await check(files);
  for (const file of files) {
    if ((await folder.length(file.name)) === undefined) {
      await new FileDownload(fileUrl(directory, file.name), file, folder, network, totals, options).run();
    }
  }
  return files.map((file) => file.name);
}

const fromRecord = (files: Record<string, string> | undefined): ModelFile[] =>
  Object.entries(files ?? {}).map(([name, sha256]) => ({ name, sha256 }));

/** Fetches the manifest and begins the folder by it. */
async function begin(
  directory: string,
  folder: ModelFolder,
  network: Network,
  options: DownloadOptions,
): Promise<ModelFile[]> {
  options.onProgress({ stage: "download", file: MANIFEST, loaded: 0, total: 0 });
  const bytes = await fetchManifest(fileUrl(directory, MANIFEST), network, options.signal);
  const files = [{ name: MANIFEST, sha256: sha256(bytes), size: bytes.length }, ...readManifest(bytes)];
  await folder.begin(Object.fromEntries(files.map(({ name, sha256 }) => [name, sha256])));
  if ((await folder.length(MANIFEST)) === undefined || (await folder.partialLength(MANIFEST, files[0]!.sha256)) === 0) {
    await folder.remove(MANIFEST);
    const writer = await folder.writer(MANIFEST, files[0]!.sha256);
    await writer.write(bytes);
    await writer.finish();
  }
  return files;
}

async function fetchManifest(url: string, network: Network, signal: AbortSignal): Promise<Uint8Array> {
  return retrying(network, signal, async () => {
    const response = await request(network, url, 0, signal);
    const body = await interruptible(nameOf(url), signal, () =>
      untilStalled(network, nameOf(url), response.arrayBuffer()),
    );
    if (body.byteLength > MAX_MANIFEST_BYTES) {
      throw new AggregatorError("format", `${nameOf(url)}: has ${body.byteLength} bytes, which no manifest has`);
    }
    return new Uint8Array(body);
  });
}

/** Whether a file is there and what it should be; what is not is deleted, and so fetched again. */
async function verify(file: ModelFile, folder: ModelFolder, totals: Totals, signal: AbortSignal): Promise<boolean> {
  const length = await folder.length(file.name);
  if (length === undefined) return false;
  const hash = new Sha256();
  let done = 0;
  try {
    if ((await folder.partialLength(file.name, file.sha256)) === length) {
      for await (const block of folder.blocks(file.name)) {
        throwIfAborted(signal);
        hash.update(block);
        done += block.length;
        totals.report("verify", file.name, done, length);
      }
      if (hash.hex() === file.sha256) {
        totals.set(file.name, length);
        return true;
      }
    }
  } catch (error) {
    if (isAbort(error)) throw error;
    // Blocks that the browser has dropped are as good as wrong ones.
  }
  await folder.remove(file.name);
  return false;
}

/** One file. */
class FileDownload {
  readonly #url: string;
  readonly #file: ModelFile;
  readonly #folder: ModelFolder;
  readonly #network: Network;
  readonly #totals: Totals;
  readonly #signal: AbortSignal;
  #refetched = false;

  constructor(
    url: string,
    file: ModelFile,
    folder: ModelFolder,
    network: Network,
    totals: Totals,
    options: DownloadOptions,
  ) {
    this.#url = url;
    this.#file = file;
    this.#folder = folder;
    this.#network = network;
    this.#totals = totals;
    this.#signal = options.signal;
  }

  async run(): Promise<void> {
    const there = () => this.#folder.partialLength(this.#file.name, this.#file.sha256);
    while (!(await retrying(this.#network, this.#signal, () => this.#attempt(), there)));
  }

  /** One connection: continues the file. Whether it is whole now; if not, it begins anew. */
  async #attempt(): Promise<boolean> {
    const { name, sha256 } = this.#file;
    const hash = new Sha256();
    let length = await this.#partial(hash);
    const response = await request(this.#network, this.#url, length, this.#signal);
    // All is there already, or more than there is.
    if (response.status === 416) return this.#finish(hash, length);
    if (length > 0 && startOf(response) !== length) {
      // No ranges here (or another than was asked for): what was there is of no use.
      await this.#folder.remove(name);
      if (response.status === 206) {
        void response.body?.cancel().catch(() => {});
        return false;
      }
      length = 0;
    }
    const fresh = length === 0 ? new Sha256() : hash;
    const expected = this.#file.size ?? totalOf(response, length);
    if (expected !== undefined) this.#totals.expect(name, expected);
    const writer = await this.#folder.writer(name, sha256);
    try {
      length = await this.#receive(response, length, async (chunk) => {
        fresh.update(chunk);
        await writer.write(chunk);
      });
    } finally {
      // What came is kept, also where the rest did not.
      await writer.flush();
    }
    if (expected !== undefined && length < expected) {
      const message = `${name}: the connection ended at byte ${length} of ${expected}`;
      throw new Transient(new AggregatorError("network", message));
    }
    return this.#finish(fresh, length);
  }

  /** Hashes what is there and returns how much it is. */
  async #partial(hash: Sha256): Promise<number> {
    const { name, sha256 } = this.#file;
    if ((await this.#folder.partialLength(name, sha256)) === 0) return 0;
    let length = 0;
    try {
      for await (const block of this.#folder.blocks(name)) {
        throwIfAborted(this.#signal);
        hash.update(block);
        length += block.length;
      }
    } catch (error) {
      if (isAbort(error)) throw error;
      await this.#folder.remove(name);
      length = 0;
    }
    return length;
  }

  /** Passes the body on; returns the length of the file so far. */
  async #receive(response: Response, start: number, take: (chunk: Uint8Array) => Promise<void>): Promise<number> {
    const { name } = this.#file;
    let length = start;
    const reader = response.body?.getReader();
    if (reader === undefined) return length;
    try {
      for (;;) {
        const { done, value } = await interruptible(name, this.#signal, () =>
          untilStalled(this.#network, name, reader.read()),
        );
        if (done) return length;
        await take(value);
        length += value.length;
        this.#totals.report("download", name, length);
        // Behind the chunk: what has arrived is kept.
        throwIfAborted(this.#signal);
      }
    } finally {
      // Also where the reading failed: a stalled connection is closed.
      void reader.cancel().catch(() => {});
    }
  }

  /** Checks the hash; a wrong file is deleted, and the second wrong one is an error. */
  async #finish(hash: Sha256, length: number): Promise<boolean> {
    const { name, sha256 } = this.#file;
    const found = hash.hex();
    if (found === sha256) {
      await (await this.#folder.writer(name, sha256)).finish();
      this.#totals.report("download", name, length);
      return true;
    }
    await this.#folder.remove(name);
    if (this.#refetched) {
      const message = `${name}: its ${length} bytes have sha256 ${found}, ${MANIFEST} says ${sha256}; twice`;
      throw new AggregatorError("hash-mismatch", message);
    }
    this.#refetched = true;
    return false;
  }
}

/** Runs `attempt` again after failures that may go away, with growing waits. Attempts that got further do not count. */
async function retrying<T>(
  network: Network,
  signal: AbortSignal,
  attempt: () => Promise<T>,
  progress: () => Promise<number> = async () => 0,
): Promise<T> {
  let vain = 0;
  for (let count = 1; ; count++) {
    throwIfAborted(signal);
    const before = await progress();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Transient)) throw error;
      vain = (await progress()) > before ? 0 : vain + 1;
      if (vain >= network.attempts || count >= MAX_ATTEMPTS) throw error.error;
      await network.sleep(error.waitMs ?? Math.min(250 * 2 ** vain, MAX_BACKOFF_MS), signal);
    }
  }
}

/** A failing body is a connection that broke, unless it was us. */
async function interruptible<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof Transient) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Transient(new AggregatorError("network", `${name}: the connection broke (${reason})`, { cause: error }));
  }
}

/** Where the body of an answer starts in the file. */
function startOf(response: Response): number {
  if (response.status !== 206) return 0;
  const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
  return range?.[1] === undefined ? -1 : Number(range[1]);
}

/** Length of the file, where the answer says: of a compressed body the header counts other bytes. */
function totalOf(response: Response, start: number): number | undefined {
  const range = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  if (response.status === 206 && range?.[1] !== undefined) return Number(range[1]);
  const length = response.headers.get("content-length");
  if (length === null || !/^\d+$/.test(length) || response.headers.has("content-encoding")) return undefined;
  return start + Number(length);
}

/** The bytes of all files together, so that a bar runs once. */
class Totals {
  readonly #onProgress: DownloadOptions["onProgress"];
  readonly #sizes = new Map<string, number>();
  readonly #loaded = new Map<string, number>();

  constructor(files: readonly ModelFile[], options: DownloadOptions) {
    this.#onProgress = options.onProgress;
    for (const { name, size } of files) if (size !== undefined) this.#sizes.set(name, size);
  }

  /** Counts what is there of a file already. */
  async add(file: ModelFile, folder: ModelFolder): Promise<void> {
    this.#loaded.set(file.name, await folder.partialLength(file.name, file.sha256));
  }

  expect(name: string, size: number): void {
    this.#sizes.set(name, size);
  }

  set(name: string, length: number): void {
    this.#sizes.set(name, length);
    this.#loaded.set(name, length);
  }

  report(stage: "download" | "verify", file: string, loaded: number, total?: number): void {
    if (stage === "verify") return this.#onProgress({ stage, file, loaded, total: total ?? 0 });
    this.#loaded.set(file, loaded);
    const sum = (numbers: Iterable<number>) => [...numbers].reduce((a, b) => a + b, 0);
    // Sizes that are not known yet count as what has come of them.
    const totals = [...this.#loaded].map(([name, got]) => Math.max(this.#sizes.get(name) ?? 0, got));
    this.#onProgress({ stage, file, loaded: sum(this.#loaded.values()), total: sum(totals) });
  }
}
