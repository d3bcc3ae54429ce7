// Blobs in every kind of storage, files on top of them, and what happens where there is no room or no permission.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Blobs, MemoryBlobs, SpillingBlobs } from "../src/cache/blobs.js";
import { CacheBlobs } from "../src/cache/cache-api.js";
import { ModelFolder, deleteFolder, listFolders } from "../src/cache/folder.js";
import { exclusively } from "../src/cache/lock.js";
import { openBlobs, openSpillingBlobs } from "../src/cache/open.js";
import { OpfsBlobs } from "../src/cache/opfs.js";
import { failure } from "./fakes/expect.js";
import { noise, sha256Of } from "./fakes/server.js";
import { FakeCaches, FakeOpfs } from "./fakes/storage.js";

const KINDS: Record<string, () => Promise<Blobs>> = {
  memory: async () => new MemoryBlobs(),
  "OPFS, streams": () => OpfsBlobs.open(new FakeOpfs()),
  "OPFS, synchronous": () => OpfsBlobs.open(new FakeOpfs({ writing: "sync" })),
  "Cache API": () => CacheBlobs.open(new FakeCaches()),
};

const MODEL = "https://example.org/model/";

async function fill(folder: ModelFolder, file: string, bytes: Uint8Array, chunk = 37): Promise<void> {
  const writer = await folder.writer(file, sha256Of(bytes));
  for (let at = 0; at < bytes.length; at += chunk) await writer.write(bytes.subarray(at, at + chunk));
  await writer.finish();
}

for (const [kind, open] of Object.entries(KINDS)) {
  test(`blobs: ${kind}`, async () => {
    const blobs = await open();
    const bytes = noise(100);
    assert.equal(await blobs.get("a"), undefined);
    await blobs.put("a", bytes);
    bytes.fill(0); // the caller's buffer stays the caller's
    assert.deepEqual(await blobs.get("a"), noise(100));
    assert.deepEqual(await blobs.get("a", 10, 20), noise(100).subarray(10, 20));
    await blobs.put("a", noise(3));
    await blobs.put("b@0", noise(0));
    assert.deepEqual(await blobs.get("a"), noise(3));
    assert.deepEqual((await blobs.keys()).sort(), ["a", "b@0"]);
    await blobs.delete("a");
    await blobs.delete("a");
    assert.deepEqual(await blobs.keys(), ["b@0"]);
  });

  test(`files: ${kind}`, async () => {
    const blobs = await open();
    const folder = new ModelFolder(blobs, MODEL, 64);
    const bytes = noise(500);
    await folder.begin({ "model.safetensors": sha256Of(bytes) });
    await fill(folder, "model.safetensors", bytes);
    // As after a reload of the page.
    const again = new ModelFolder(blobs, MODEL);
    assert.equal(await again.length("model.safetensors"), 500);
    for (let start = 0; start <= 500; start += 23) {
      for (let end = start; end <= 500; end += 29) {
        assert.deepEqual(await again.read("model.safetensors", start, end), bytes.slice(start, end));
      }
    }
    await assert.rejects(again.read("model.safetensors", 0, 501), failure("format", "ends at byte 500"));
    await assert.rejects(again.read("config.json", 0, 1), failure("format"));
    assert.equal(await again.length("config.json"), undefined);
  });

  test(`models: ${kind}`, async () => {
    const blobs = await open();
    const [whole, half] = [new ModelFolder(blobs, `${MODEL}whole/`, 64), new ModelFolder(blobs, `${MODEL}half/`, 64)];
    const bytes = noise(500);
    await whole.begin({ "a.safetensors": sha256Of(bytes) });
    await fill(whole, "a.safetensors", bytes);
    await half.begin({ "a.safetensors": sha256Of(bytes) });
    await (await half.writer("a.safetensors", sha256Of(bytes))).write(bytes.subarray(0, 100));
    assert.deepEqual(await listFolders(blobs), [
      { model: `${MODEL}half/`, bytes: 100, complete: false },
      { model: `${MODEL}whole/`, bytes: 500, complete: true },
    ]);
    assert.equal(await deleteFolder(blobs, `${MODEL}whole/`), true);
    assert.equal(await deleteFolder(blobs, `${MODEL}whole/`), false);
    assert.equal((await listFolders(blobs)).length, 1);
    assert.equal(await deleteFolder(blobs, `${MODEL}half/`), true);
    assert.deepEqual(await blobs.keys(), []);
  });
}

test("a new state of a model keeps what is the same and drops the rest", async () => {
  const blobs = new MemoryBlobs();
  const folder = new ModelFolder(blobs, MODEL, 64);
  const [same, old, next] = [noise(100, 1), noise(100, 2), noise(100, 3)];
  await folder.begin({ "same.json": sha256Of(same), "changed.json": sha256Of(old), "gone.json": sha256Of(old) });
  for (const [file, bytes] of [["same.json", same], ["changed.json", old], ["gone.json", old]] as const) {
    await fill(folder, file, bytes);
  }
  const again = new ModelFolder(blobs, MODEL, 64);
  await again.begin({ "same.json": sha256Of(same), "changed.json": sha256Of(next) });
  assert.equal(await again.partialLength("same.json", sha256Of(same)), 100);
  assert.equal(await again.partialLength("changed.json", sha256Of(next)), 0);
  assert.equal(await again.completeFiles(), undefined);
  await fill(again, "changed.json", next);
  assert.deepEqual(await again.read("changed.json", 0, 100), next);
  assert.equal((await blobs.keys()).some((key) => key.includes("gone")), false);
  assert.equal(Object.keys((await again.completeFiles())!).length, 2);
});

test("damaged records and lost blocks are not there", async () => {
  const blobs = new MemoryBlobs();
  const folder = new ModelFolder(blobs, MODEL, 64);
  const bytes = noise(200);
  await folder.begin({ "a.json": sha256Of(bytes) });
  await fill(folder, "a.json", bytes);
  const keys = await blobs.keys();
  const block = keys.find((key) => key.endsWith("@0"))!;
  await blobs.delete(block);
  await assert.rejects(new ModelFolder(blobs, MODEL).read("a.json", 0, 10), failure("format", "gone from the cache"));
  await blobs.put(keys.find((key) => key.endsWith(".index"))!, new TextEncoder().encode("{"));
  assert.equal(await new ModelFolder(blobs, MODEL).length("a.json"), undefined);
  await blobs.put(keys.find((key) => key.endsWith(".model"))!, new Uint8Array());
  assert.equal(await new ModelFolder(blobs, MODEL).completeFiles(), undefined);
  assert.deepEqual(await listFolders(blobs), []);
});

test("a full disk: the rest goes to memory, with one warning, and the disk stays consistent", async () => {
  for (const open of [
    async () => OpfsBlobs.open(new FakeOpfs({ quota: 2_000 })),
    async () => OpfsBlobs.open(new FakeOpfs({ quota: 2_000, writing: "sync" })),
    async () => CacheBlobs.open(new FakeCaches({ quota: 2_000 })),
  ]) {
    const disk = await open();
    const warnings: string[] = [];
    const blobs = new SpillingBlobs(disk, new MemoryBlobs(), (message) => warnings.push(message));
    const folder = new ModelFolder(blobs, MODEL, 256);
    const bytes = noise(5_000);
    await folder.begin({ "a.safetensors": sha256Of(bytes) });
    await fill(folder, "a.safetensors", bytes);
    assert.deepEqual(await folder.read("a.safetensors", 0, 5_000), bytes);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /QuotaExceededError/);
    // After a reload: what the disk kept is a beginning that can be continued.
    const kept = new ModelFolder(disk, MODEL, 256);
    const length = await kept.partialLength("a.safetensors", sha256Of(bytes));
    assert.ok(length > 0 && length < 2_000);
    assert.equal(await kept.length("a.safetensors"), undefined);
    let at = 0;
    for await (const block of kept.blocks("a.safetensors")) {
      assert.deepEqual(block, bytes.slice(at, at + block.length));
      at += block.length;
    }
    assert.equal(at, length);
  }
});

test("the best storage that can be written to is taken", async () => {
  const [opfs, caches] = [new FakeOpfs(), new FakeCaches()];
  assert.equal((await openBlobs({ storage: opfs, caches }, "auto")).kind, "opfs");
  assert.equal((await openBlobs({ storage: opfs, caches }, "memory")).kind, "memory");
  for (const storage of [undefined, {}, new FakeOpfs({ denied: true }), new FakeOpfs({ writing: "none" })]) {
    assert.equal((await openBlobs({ storage, caches }, "auto")).kind, "cache");
    assert.equal((await openBlobs({ storage, caches: new FakeCaches({ denied: true }) }, "auto")).kind, "memory");
    assert.equal((await openBlobs({ storage }, "auto")).kind, "memory");
  }
  assert.deepEqual([...opfs.files], [], "trying leaves nothing behind");
  assert.equal((await openSpillingBlobs({ storage: opfs }, "auto", () => {})).kind, "opfs");
});

test("two tabs try the storage at the same time", async () => {
  let writes = 0;
  // Each write takes another time, so that one tab is done while others are still writing.
  const disk = () => new Promise<void>((resolve) => setTimeout(resolve, 5 * ++writes));
  for (const writing of ["stream", "sync"] as const) {
    const shared = new FakeOpfs({ writing, disk });
    const tabs = [1, 2, 3].map(() => openBlobs({ storage: shared }, "auto"));
    assert.deepEqual((await Promise.all(tabs)).map(({ kind }) => kind), ["opfs", "opfs", "opfs"]);
    assert.deepEqual([...shared.files], []);
  }
  const caches = new FakeCaches({ disk });
  const tabs = [1, 2, 3].map(() => openBlobs({ caches }, "auto"));
  assert.deepEqual((await Promise.all(tabs)).map(({ kind }) => kind), ["cache", "cache", "cache"]);
});

test("one at a time under a name, with and without locks of the browser", async () => {
  const order: string[] = [];
  const signal = new AbortController().signal;
  const work = (name: string, fails = false) => async () => {
    order.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    order.push(`${name} ends`);
    if (fails) throw new Error(name);
    return name;
  };
  const stopped = new AbortController();
  const runs = Promise.allSettled([
    exclusively(undefined, "x", signal, work("a", true)),
    exclusively(undefined, "x", stopped.signal, work("b")),
    exclusively(undefined, "x", signal, work("c")),
    exclusively(undefined, "y", signal, work("other")),
  ]);
  stopped.abort();
  const [a, b, c, other] = await runs;
  assert.equal(a!.status, "rejected");
  failure("aborted")((b as PromiseRejectedResult).reason);
  assert.deepEqual([c, other].map((end) => (end as PromiseFulfilledResult<string>).value), ["c", "other"]);
  const ofX = order.filter((line) => !line.startsWith("other"));
  assert.deepEqual(ofX, ["a begins", "a ends", "c begins", "c ends"]);

  const names: string[] = [];
  const locks = {
    request: <T>(name: string, _: object, run: () => Promise<T>) => {
      names.push(name);
      return run();
    },
  };
  assert.equal(await exclusively(locks, "x", signal, work("d")), "d");
  assert.deepEqual(names, ["conclave-models:x"]);
});
