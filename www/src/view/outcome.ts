// The answer with its confidence and dissent, and the clusters as bars.

import { against, bars, confidenceMeaning, dissent, forecast } from "../clusters.ts";
import type { Bar } from "../clusters.ts";
import { percent, plural, probability } from "../format.ts";
import { clustersOf, isCounted } from "../state.ts";
import type { State } from "../state.ts";
import { byId, h, setText } from "./dom.ts";
import { showFailure } from "./page.ts";
import type { Page } from "./page.ts";
import { answerNode } from "./prose.ts";

const METHODS = { vote: "by vote", select: "chosen by the model", generate: "written by the model" };

export function mountOutcome({ store, watch }: Page): void {
  watch(
    (state) => [
      state.run.result,
      state.run.chosen,
      state.run.correct,
      state.run.recorded,
      state.tally,
      state.tallyFailure,
      state.set,
      state.sampling.status,
    ],
    drawAnswer,
  );
  watch(
    (state) => [
      clustersOf(state),
      state.tally,
      state.tallyFailure,
      state.cards.length,
      state.highlighted,
      state.run.result,
      state.sampling.status,
    ],
    (state) => drawClusters(state, (cluster) => store.dispatch({ type: "highlight", cluster })),
  );
  watch(
    (state) => [state.tally, state.policy, state.cards.length],
    ({ tally, policy, cards }) => {
      const isOpen = tally !== null && cards.length > 0;
      setText(byId("forecast"), isOpen ? forecast(policy, tally.confidence, tally.answered) : "");
    },
  );
}

function drawAnswer(state: State): void {
  const { result, chosen, correct, recorded } = state.run;
  const { tally } = state;
  const place = byId("answer");
  setText(byId("method"), result === null ? "" : METHODS[result.method] + (recorded ? ", from the file" : ""));
  if (result === null) {
    place.replaceChildren(h("span", { class: "waiting" }, tally?.answer == null ? "\u2013" : answerNode(tally.answer)));
    const lead = tally?.clusters[0];
    const known =
      lead === undefined
        ? ""
        : `So far only the vote: ${lead.votes} of ${plural(state.cards.length, "candidate")}. The model has not been asked.`;
    byId("confidence").replaceChildren();
    setText(byId("dissent"), known);
    setText(byId("reference"), "");
    showTallyFailure(state);
    return;
  }
  place.replaceChildren(
    result.answer === null ? h("span", { class: "waiting" }, "no answer") : answerNode(result.answer),
  );
  byId("confidence").replaceChildren(...confidence(result.confidence, result.confidence_kind));
  const others = dissent(result.clusters, chosen, state.cards.filter((card) => card.status === "done").length);
  const lead = result.clusters[0];
  const turn = against(result, chosen) !== "with" && result.answer !== null && lead !== undefined;
  byId("dissent").replaceChildren(
    others,
    ...(turn ? [" ", h("strong", {}, "Against the vote"), ", which says ", answerNode(lead.answer, 120), "."] : []),
  );
  const reference = state.set?.reference_answer;
  byId("reference").replaceChildren(
    ...(reference === undefined
      ? []
      : [
          h(
            "span",
            { class: correct ? "verdict right" : "verdict wrong" },
            correct ? "\u2713 correct" : "\u2717 wrong",
          ),
          " The reference is ",
          answerNode(reference, 120),
          ".",
        ]),
  );
}

function showTallyFailure({ tallyFailure }: State): void {
  if (tallyFailure !== null) showFailure(byId("reference"), tallyFailure);
}

function confidence(value: number, kind: string): Node[] {
  const { name, text } = confidenceMeaning(kind);
  const fill = h("span", { class: "fill" });
  fill.style.transform = `scaleX(${Math.min(1, Math.max(0, value))})`;
  return [
    h("div", { class: "confidence-line" }, h("span", {}, name), h("strong", {}, probability(value))),
    h("div", { class: "gauge", "aria-hidden": true }, fill),
    h("p", { class: "hint" }, text),
  ];
}

function drawClusters(state: State, highlight: (cluster: number) => void): void {
  const done = state.cards.filter((card) => card.status === "done").length;
  const drawn = bars(clustersOf(state), done);
  const list = byId("clusters");
  setText(
    byId("clusters-count"),
    drawn.bars.length === 0 ? "" : plural(drawn.bars.length + drawn.more, "different answer"),
  );
  // The focus survives a redrawing: somebody may be walking along the bars.
  const focused = [...list.querySelectorAll("button")].indexOf(document.activeElement as HTMLButtonElement);
  const items = drawn.bars.map((bar, index) => {
    const isCorrect = state.tally?.correct[index] === true && state.tally.clusters[index]?.answer === bar.answer;
    const button = row(bar, isCorrect, state.highlighted === index);
    button.addEventListener("click", () => highlight(index));
    return h("li", {}, button);
  });
  if (drawn.more > 0) items.push(h("li", { class: "soft" }, `and ${plural(drawn.more, "smaller cluster")}`));
  if (drawn.unanswered > 0 && isCounted(state))
    items.push(h("li", { class: "soft" }, `${plural(drawn.unanswered, "candidate")} without an answer`));
  if (items.length === 0)
    items.push(h("li", { class: "soft" }, nothing(state)));
  list.replaceChildren(...items);
  if (focused >= 0) list.querySelectorAll("button")[focused]?.focus();
}

/** Why there is no bar. */
function nothing(state: State): string {
  if (state.sampling.status === "running") return "Waiting for answers";
  if (state.cards.length === 0 || isCounted(state)) return "No answers yet";
  return state.tallyFailure === null ? "Counting the votes" : "Not counted";
}

function row(bar: Bar, isCorrect: boolean, isPressed: boolean): HTMLButtonElement {
  const fill = h("span", { class: "fill" });
  fill.style.transform = `scaleX(${bar.length})`;
  const mass = bar.mass === undefined ? null : h("span", { class: "soft" }, `p ${probability(bar.mass)}`);
  return h(
    "button",
    {
      type: "button",
      class: "bar",
      "data-colour": bar.colour,
      "aria-pressed": String(isPressed),
      title: "Show the candidates of this cluster",
    },
    h("span", { class: "chip" }, bar.letter),
    h("span", { class: "bar-answer" }, answerNode(bar.answer, 160)),
    isCorrect ? h("span", { class: "verdict right" }, "\u2713 correct") : null,
    mass,
    h("span", { class: "votes" }, `${plural(bar.votes, "vote")}, ${percent(bar.share)}`),
    h("span", { class: "gauge", "aria-hidden": true }, fill),
  );
}
