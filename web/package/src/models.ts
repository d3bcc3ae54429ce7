// The models in the cache.

import { deleteFolder, listFolders } from "./cache/folder.js";
import type { Blobs } from "./cache/blobs.js";
import { openBlobs } from "./cache/open.js";
import { directoryUrl } from "./manifest.js";
import { platform } from "./platform/platform.js";
import type { CachedModel } from "./types.js";

/** What may hold models: memory too, where a full disk or a caller put some there. */
async function stores(): Promise<Blobs[]> {
  const { storage } = platform();
  return [...new Set([await openBlobs(storage, "auto"), await openBlobs(storage, "memory")])];
}

/** The models that are kept, complete or not. (What a worker keeps in memory alone is not among them.) */
export async function listModels(): Promise<CachedModel[]> {
  const lists = await Promise.all((await stores()).map(listFolders));
  return lists.flat();
}

/** Deletes a model from the cache; whether it was there. */
export async function deleteModel(model: string): Promise<boolean> {
  const directory = directoryUrl(model, platform().base);
  const deleted = await Promise.all((await stores()).map((blobs) => deleteFolder(blobs, directory)));
  return deleted.includes(true);
}
