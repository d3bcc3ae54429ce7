import "./trusted-types.ts";
import "katex/dist/katex.min.css";
import * as conclave from "@conclave/web";
import { createController } from "./controller.ts";
import { isForModels } from "./kinds.ts";
import { INITIAL, isRunning, reduce } from "./state.ts";
import { createStore } from "./store.ts";
import { mountCards } from "./view/cards.ts";
import { byId, setText } from "./view/dom.ts";
import { mountFiles } from "./view/files.ts";
import { mountKinds } from "./view/kinds.ts";
import { mountModel } from "./view/model.ts";
import { mountOutcome } from "./view/outcome.ts";
import type { Page } from "./view/page.ts";
import { prose } from "./view/prose.ts";
import { mountReader } from "./view/reader.ts";
import { mountSource } from "./view/source.ts";
import { mountTheme } from "./view/theme.ts";
import { watcher } from "./view/watch.ts";
import { mountWriting } from "./view/writing.ts";

/** Characters of a problem that are shown. */
const MOST_OF_PROBLEM = 8000;

const store = createStore(INITIAL, reduce);
const page: Page = { store, controller: createController(store, conclave), watch: watcher(store) };

mountTheme();
mountReader();
mountProblem(page);
mountOutcome(page);
mountWriting(page);
mountCards(page);
mountKinds(page);
mountModel(page);
mountFiles(page);
mountRun(page);
void mountSource(page);

function mountProblem({ watch }: Page): void {
  watch(
    (state) => [state.set?.problem, state.set?.id],
    ({ set }) => {
      setText(byId("problem-id"), set?.id.slice(0, 80) ?? "");
      byId("problem").replaceChildren(prose(set?.problem ?? "", MOST_OF_PROBLEM));
    },
  );
}

function mountRun({ store: { get }, controller, watch }: Page): void {
  const run = byId<HTMLButtonElement>("run");
  const stop = byId<HTMLButtonElement>("stop");
  const start = () => {
    if (run.disabled) return;
    void controller.run();
    // On a narrow screen the answer lies below everything that was set up.
    const answer = byId("answer-title");
    if (answer.getBoundingClientRect().top > window.innerHeight) answer.scrollIntoView({ block: "start" });
  };
  run.addEventListener("click", start);
  stop.addEventListener("click", () => controller.stop());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    // In the panel of the API it is the candidates that are asked for.
    const form = (event.target as Element | null)?.closest("form");
    if (form === null || form === undefined) start();
    else form.querySelector<HTMLButtonElement>("button[type='submit']")?.click();
  });
  watch(
    (state) => [state.run.status, state.sampling.status, state.policy, state.cards, state.tally],
    (state) => {
      const isBusy = isRunning(state.run);
      const hasAny = state.cards.some((card) => card.status === "done");
      run.disabled = isBusy || state.sampling.status === "running" || !hasAny;
      stop.disabled = !isBusy;
      const isVote = state.policy === "vote" || (state.tally !== null && !isForModels(state.tally.kind));
      setText(run, isVote ? "Vote" : get().run.status === "done" ? "Aggregate again" : "Aggregate");
      run.title = "Ctrl + Enter";
    },
  );
}
