// One candidate, large: a dialog, which the browser gives focus, Escape and a backdrop.

import { byId, setText } from "./dom.ts";
import { prose } from "./prose.ts";

/** Characters shown: what a person could read, and a browser lays out at once. */
const MOST_IN_READER = 60_000;

export function mountReader(): void {
  const dialog = byId<HTMLDialogElement>("reader");
  byId("reader-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    // The backdrop belongs to the dialog's own box.
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => byId("reader-text").replaceChildren());
}

export function read(title: string, text: string, id: string): void {
  setText(byId("reader-title"), id === "" ? title : `${title}, ${id.slice(0, 80)}`);
  byId("reader-text").replaceChildren(prose(text, MOST_IN_READER));
  byId<HTMLDialogElement>("reader").showModal();
}
