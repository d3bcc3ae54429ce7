// Files in and out: choosing, dropping, unzipping, saving.

import { MOST_BYTES } from "../jsonl.ts";
import { byId } from "./dom.ts";
import type { Page } from "./page.ts";

export function mountFiles({ store, controller, watch }: Page): void {
  const input = byId<HTMLInputElement>("file");
  const open = async (file: File | undefined) => {
    if (file === undefined) return;
    store.dispatch({ type: "source", source: "file" });
    store.dispatch({ type: "file-reading", name: file.name });
    try {
      controller.openFile(file.name, await content(file));
    } catch (error) {
      const reason = `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
      store.dispatch({ type: "file", name: file.name, sets: [], results: [], bad: [{ line: 1, reason }] });
    }
  };
  const choose = () => input.click();
  byId("import").addEventListener("click", choose);
  byId("drop").addEventListener("click", choose);
  input.addEventListener("change", () => {
    void open(input.files?.[0]);
    // The same file, corrected, can be chosen again.
    input.value = "";
  });

  const mark = (isOver: boolean) => document.body.classList.toggle("dropping", isOver);
  window.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    mark(true);
  });
  window.addEventListener("dragleave", (event) => event.relatedTarget === null && mark(false));
  window.addEventListener("drop", (event) => {
    mark(false);
    const file = event.dataTransfer?.files[0];
    if (file === undefined) return;
    event.preventDefault();
    void open(file);
  });

  const save = byId<HTMLButtonElement>("export");
  save.addEventListener("click", () => {
    const text = controller.exportRun();
    if (text !== null) download(text, fileName(store.get().set?.id ?? "run"));
  });
  watch(
    (state) => [state.set === null],
    ({ set }) => void (save.disabled = set === null),
  );
}

/** A file's bytes, unzipped where it begins as gzip does, up to the most that a page reads. */
async function content(file: File): Promise<Uint8Array> {
  const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  if (!(start[0] === 0x1f && start[1] === 0x8b)) {
    // One byte more than allowed is enough for the refusal.
    return new Uint8Array(await file.slice(0, MOST_BYTES + 1).arrayBuffer());
  }
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
    if (length > MOST_BYTES) {
      await reader.cancel();
      break;
    }
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function download(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** An id may be anything; a file's name may not. */
function fileName(id: string): string {
  return `${id.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 60) || "run"}.jsonl`;
}
