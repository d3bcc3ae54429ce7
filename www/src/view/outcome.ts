// The answer with its confidence and dissent, and the clusters as bars or the fields of a record.

import { against, bars, confidenceMeaning, dissent, forecast, voteShare } from "../clusters.ts";
import type { Bar } from "../clusters.ts";
import { percent, plural, probability } from "../format.ts";
import { abstention, callLines, isForModels, recordWords } from "../kinds.ts";
import type { FieldVote, Result } from "../sample-set.ts";
import { clustersOf, isCounted } from "../state.ts";
import type { State } from "../state.ts";
import { byId, h, setText } from "./dom.ts";
import { MOST_FIELDS, fieldItem } from "./fields.ts";
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
      setText(byId("forecast"), isOpen ? forecast(policy, voteShare(tally), tally.answered, tally.kind) : "");
    },
  );
}

function drawAnswer(state: State): void {
  const { result, chosen, correct, recorded } = state.run;
  const { tally } = state;
  const place = byId("answer");
  setText(byId("method"), result === null ? "" : METHODS[result.method] + (recorded ? ", from the file" : ""));
  place.classList.toggle("many", fieldsOf(state) !== undefined || kindOf(state) === "tool-call");
  if (result === null) {
    const answer = tally?.answer == null ? "\u2013" : kindNode(tally.answer, kindOf(state), tally.fields);
    place.replaceChildren(h("span", { class: "waiting" }, answer));
    byId("confidence").replaceChildren();
    setText(byId("dissent"), soFar(state));
    setText(byId("reference"), "");
    showTallyFailure(state);
    return;
  }
  place.replaceChildren(
    result.answer === null
      ? h("span", { class: "waiting" }, result.error === undefined ? "no answer" : "not voted on")
      : kindNode(result.answer, kindOf(state), result.fields),
  );
  byId("confidence").replaceChildren(
    ...(result.error === undefined && result.abstained === undefined ? confidence(result.confidence, result.confidence_kind) : []),
  );
  const others = inWords(state, result);
  const lead = result.clusters[0];
  const isOfModel = result.method !== "vote";
  const turn = isOfModel && against(result, chosen) !== "with" && result.answer !== null && lead !== undefined;
  byId("dissent").replaceChildren(
    others,
    ...(turn ? [" ", h("strong", {}, "Against the vote"), ", which says ", answerNode(lead.answer, 120), "."] : []),
  );
  const reference = state.set?.reference_answer;
  byId("reference").replaceChildren(
    ...(reference === undefined || result.error !== undefined
      ? []
      : [
          h(
            "span",
            { class: correct ? "verdict right" : "verdict wrong" },
            correct ? "\u2713 correct" : result.answer === null ? "\u2717 no answer" : "\u2717 wrong",
          ),
          " The reference is ",
          kindNode(Array.isArray(reference) ? reference.join(" or ") : reference, kindOf(state), undefined, 120),
          ".",
        ]),
  );
}

/** What the answers are of which the page speaks. */
function kindOf({ run, tally }: State): string | null {
  return run.result?.answer_kind ?? tally?.kind ?? null;
}

function fieldsOf({ run, tally }: State): FieldVote[] | undefined {
  return run.result === null ? tally?.fields : run.result.fields;
}

/** An answer by what it is: mathematics may be a formula, nothing else is. Of a record its size, as its fields stand beside it. */
function kindNode(answer: string, kind: string | null, fields?: FieldVote[], most = 400): Node {
  if (fields !== undefined) return document.createTextNode(`A record of ${plural(fields.length, "field")}`);
  if (kind === null || isForModels(kind)) return answerNode(answer, most);
  if (kind !== "tool-call") return document.createTextNode(answer.slice(0, most));
  const lines = callLines(answer).map((line) => h("code", {}, line.slice(0, most)));
  return h("span", { class: "calls" }, ...lines);
}

/** What is known before anything was run. */
function soFar(state: State): string {
  const { tally, cards } = state;
  const lead = tally?.clusters[0];
  if (tally?.kind === null) return notVotedOn(tally.reason);
  if (tally === null || lead === undefined) return "";
  if (tally.abstained !== undefined) return abstention(tally.clusters, tally.abstained, cards.length, tally.kind);
  if (tally.fields !== undefined) return recordLine(tally.fields, tally.answered, cards.length, tally.recordReason);
  const votes = `${lead.votes} of ${plural(cards.length, "candidate")}`;
  return isForModels(tally.kind) ? `So far only the vote: ${votes}. The model has not been asked.` : `The vote: ${votes}.`;
}

/** How the candidates stand to a result, in words. */
function inWords(state: State, result: Result): string {
  const { chosen } = state.run;
  const done = state.cards.filter((card) => card.status === "done").length;
  if (result.error !== undefined) return notVotedOn(state.tally?.reason ?? result.error.split(":")[0] ?? "");
  if (result.abstained !== undefined) return abstention(result.clusters, result.abstained, done, kindOf(state));
  if (result.fields === undefined) return dissent(result.clusters, chosen, done);
  const valid = result.clusters.reduce((sum, cluster) => sum + cluster.votes, 0);
  return recordLine(result.fields, valid, done, state.tally?.recordReason);
}

function recordLine(fields: FieldVote[], valid: number, candidates: number, reason: string | undefined): string {
  const words = recordWords(fields, valid, candidates);
  return reason === undefined ? words : `${words} The schema does not allow the merged record: ${reason}`;
}

function notVotedOn(reason: string): string {
  const said = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}`;
  return `${said}: not voted on, as any answer would be a stray word or number. If that is wrong, say at "Answers are" what they are.`;
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
  const fields = fieldsOf(state);
  const list = byId("clusters");
  setText(byId("clusters-title"), fields === undefined ? "Clusters" : "Fields");
  // Bars are walked along; fields have nothing to press, and are scrolled by the list itself.
  if (fields === undefined) list.removeAttribute("tabindex");
  else list.tabIndex = 0;
  if (fields !== undefined) {
    drawFields(fields, done);
    return;
  }
  const kind = kindOf(state);
  const ofAll = kind !== null && !isForModels(kind);
  const drawn = bars(clustersOf(state), done, ofAll);
  setText(
    byId("clusters-count"),
    drawn.bars.length === 0 ? "" : plural(drawn.bars.length + drawn.more, "different answer"),
  );
  // The focus survives a redrawing: somebody may be walking along the bars.
  const focused = [...list.querySelectorAll("button")].indexOf(document.activeElement as HTMLButtonElement);
  const items = drawn.bars.map((bar, index) => {
    const isCorrect = state.tally?.correct[index] === true && state.tally.clusters[index]?.answer === bar.answer;
    const button = row(bar, isCorrect, state.highlighted === index, kind, ofAll ? done : undefined);
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

function drawFields(fields: FieldVote[], candidates: number): void {
  const review = fields.filter((field) => field.review).length;
  setText(byId("clusters-count"), `${plural(fields.length, "field")}${review > 0 ? `, ${review} to review` : ""}`);
  const items = fields.slice(0, MOST_FIELDS).map((field) => fieldItem(field, candidates));
  const more = fields.length - MOST_FIELDS;
  if (more > 0) items.push(h("li", { class: "soft" }, `and ${plural(more, "more field")}`));
  if (items.length === 0) items.push(h("li", { class: "soft" }, "No candidate has a record"));
  byId("clusters").replaceChildren(...items);
}

/** Why there is no bar. */
function nothing(state: State): string {
  if (state.tally?.kind === null) return "Not voted on";
  if (state.sampling.status === "running") return "Waiting for answers";
  if (state.cards.length === 0 || isCounted(state)) return "No answers yet";
  return state.tallyFailure === null ? "Counting the votes" : "Not counted";
}

function row(
  bar: Bar,
  isCorrect: boolean,
  isPressed: boolean,
  kind: string | null,
  candidates: number | undefined,
): HTMLButtonElement {
  const votes = candidates === undefined ? plural(bar.votes, "vote") : `${bar.votes} of ${candidates}`;
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
    h("span", { class: "bar-answer" }, kindNode(bar.answer, kind, undefined, 160)),
    isCorrect ? h("span", { class: "verdict right" }, "\u2713 correct") : null,
    mass,
    h("span", { class: "votes" }, `${votes}, ${percent(bar.share)}`),
    h("span", { class: "gauge", "aria-hidden": true }, fill),
  );
}
