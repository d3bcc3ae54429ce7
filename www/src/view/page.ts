// What every view is given.

import type { Controller } from "../controller.ts";
import type { Action, Failure, State } from "../state.ts";
import type { Store } from "../store.ts";
import { h } from "./dom.ts";
import type { watcher } from "./watch.ts";

export interface Page {
  store: Store<State, Action>;
  controller: Controller;
  watch: ReturnType<typeof watcher<State, Action>>;
}

/** An error where it belongs: what happened, what to do, and its name for a report. */
export function showFailure(place: Element, failure: Failure | null): void {
  if (failure === null) {
    place.replaceChildren();
    return;
  }
  const remedy = failure.remedy === "" ? null : h("p", {}, failure.remedy);
  place.replaceChildren(
    h(
      "div",
      { class: "failure", role: "alert" },
      h("p", {}, h("strong", {}, failure.message), " ", h("code", {}, failure.code)),
      remedy,
    ),
  );
}
