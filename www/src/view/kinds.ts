// What the answers are: what was taken for what, and the choice of something else.

import { KINDS, kindLine } from "../kinds.ts";
import type { AnswersChoice } from "../kinds.ts";
import { isRunning } from "../state.ts";
import { byId, h, setText } from "./dom.ts";
import type { Page } from "./page.ts";

export function mountKinds({ controller, watch }: Page): void {
  const select = byId<HTMLSelectElement>("answers");
  const labels = byId<HTMLInputElement>("labels");
  const name = (kind: string) => kind.charAt(0).toUpperCase() + kind.slice(1);
  select.append(
    h("option", { value: "auto" }, "Automatic"),
    ...Object.entries(KINDS).map(([kind, words]) => h("option", { value: kind }, name(words))),
  );
  select.addEventListener("change", () => controller.chooseAnswers({ answers: select.value as AnswersChoice }));
  labels.addEventListener("change", () => controller.chooseAnswers({ labels: labels.value }));

  watch(
    (state) => [state.answers, state.labels, isRunning(state.run)],
    ({ answers, labels: typed, run }) => {
      select.value = answers;
      select.disabled = labels.disabled = isRunning(run);
      byId("labels-field").hidden = answers !== "labels";
      if (labels.value !== typed) labels.value = typed;
    },
  );
  watch(
    (state) => [state.tally],
    ({ tally }) => setText(byId("kind"), tally === null ? "" : kindLine(tally.kind, tally.reason)),
  );
}
