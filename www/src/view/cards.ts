// Candidates side by side, each with its answer and its cluster.

import { COLOURS, clusterOf, letter } from "../clusters.ts";
import { plural } from "../format.ts";
import { callLines, isForModels, noAnswer, shown } from "../kinds.ts";
import type { Candidate, Cluster } from "../sample-set.ts";
import { clustersOf, isCounted } from "../state.ts";
import type { Card, State } from "../state.ts";
import { byId, h, setText } from "./dom.ts";
import type { Page } from "./page.ts";
import { answerNode, prose } from "./prose.ts";
import { read } from "./reader.ts";

/** Where no candidate is longer, cards are low. */
const SHORT = 160;
/** Characters of a candidate in its card; all of it, or nearly, is in the reader. */
const MOST_IN_CARD = 6000;

interface Drawn {
  element: HTMLLIElement;
  head: HTMLElement;
  text: HTMLElement;
  model: HTMLElement;
  button: HTMLButtonElement;
  card: Card | null;
  cluster: number | undefined;
  answer: string | undefined;
  /** What stands there where there is no answer. */
  nothing: string | undefined;
}

export function mountCards({ store, watch }: Page): void {
  const list = byId<HTMLOListElement>("cards");
  let drawn: Drawn[] = [];
  let generation = -1;
  // Formulas cost time, and most cards of a large set are never looked at.
  const visible = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      visible.unobserve(target);
      const found = drawn.find((one) => one.element === target);
      if (found?.card?.status === "done") found.text.replaceChildren(prose(textOf(found.card), MOST_IN_CARD));
    }
  });

  watch(
    (state) => [
      state.cards,
      clustersOf(state),
      isCounted(state),
      state.tally,
      state.highlighted,
      state.shown,
      state.generation,
    ],
    (state) => {
      if (state.generation !== generation) {
        generation = state.generation;
        visible.disconnect();
        drawn = [];
        list.replaceChildren();
        // Decided once a set, so that cards keep their height.
        const isShort = state.cards.every((card) => card.status === "done" && card.text.length <= SHORT);
        list.classList.toggle("short", isShort);
      }
      const clusters = clustersOf(state);
      const of = clusterOf(clusters);
      state.cards.slice(0, state.shown).forEach((card, index) => {
        const one = (drawn[index] ??= create(index, list, (at) => openReader(store.get(), at)));
        const cluster = of.get(index);
        drawText(one, card, visible);
        drawHead(one, card, index, cluster, clusters, state);
        const isDim = state.highlighted !== null && cluster !== state.highlighted;
        one.element.classList.toggle("dim", isDim);
        one.card = card;
      });
      byId("more").hidden = state.cards.length <= state.shown;
      setText(byId("cards-note"), note(state));
    },
  );
  byId("more").addEventListener("click", () => store.dispatch({ type: "show-more" }));
}

function create(index: number, list: HTMLElement, open: (index: number) => void): Drawn {
  const head = h("header", { class: "card-head" });
  const text = h("div", {
    class: "card-text prose",
    tabindex: 0,
    role: "group",
    "aria-label": `Candidate ${index + 1}`,
  });
  const model = h("span", { class: "soft" });
  const button = h("button", { type: "button", class: "quiet", "aria-label": `Read candidate ${index + 1}` }, "Read");
  button.addEventListener("click", () => open(index));
  const element = h("li", { class: "card" }, head, text, h("footer", {}, model, button));
  list.append(element);
  return { element, head, text, model, button, card: null, cluster: undefined, answer: undefined, nothing: undefined };
}

function drawText(one: Drawn, card: Card, visible: IntersectionObserver): void {
  if (one.card !== null && one.card.text === card.text && one.card.status === card.status) return;
  one.element.dataset["status"] = card.status;
  one.button.disabled = textOf(card) === "";
  setText(one.model, card.candidate?.model ?? "");
  if (card.status === "streaming") {
    const last = one.text.lastChild;
    const before = one.card?.status === "streaming" ? one.card.text.length : 0;
    if (last instanceof Text && before > 0) last.appendData(card.text.slice(before));
    else one.text.replaceChildren(card.text);
    one.text.scrollTop = one.text.scrollHeight;
    return;
  }
  if (card.status === "failed") {
    const { message, remedy } = card.failure ?? { message: "failed", remedy: "" };
    const partial = card.text === "" ? null : h("p", { class: "soft" }, card.text.slice(-400));
    one.text.replaceChildren(h("strong", {}, message), remedy === "" ? "" : h("p", {}, remedy), partial ?? "");
    return;
  }
  // Plain at first; formulas when the card is seen.
  one.text.replaceChildren(textOf(card).slice(0, 600));
  one.text.scrollTop = 0;
  if (card.status === "done") {
    visible.unobserve(one.element);
    visible.observe(one.element);
  }
}

function drawHead(
  one: Drawn,
  card: Card,
  index: number,
  cluster: number | undefined,
  clusters: Cluster[],
  page: State,
): void {
  const kind = page.run.result?.answer_kind ?? page.tally?.kind ?? null;
  const reading = page.tally?.readings[index];
  // As this candidate wrote it, where that is not how its cluster shows it.
  const written = cluster === undefined ? undefined : (reading?.answer ?? clusters[cluster]?.answer);
  const answer = written === undefined ? undefined : shown(written, kind);
  const nothing = answer === undefined ? state(card, page, reading?.no_answer, reading?.reason) : undefined;
  const isSame = one.card?.status === card.status && one.cluster === cluster && one.answer === answer;
  if (isSame && one.nothing === nothing) return;
  one.nothing = nothing;
  one.cluster = cluster;
  one.answer = answer;
  if (cluster === undefined) delete one.element.dataset["colour"];
  else one.element.dataset["colour"] = String(Math.min(cluster, COLOURS));
  const number = h("span", { class: "number" }, String(index + 1));
  if (cluster === undefined || answer === undefined) {
    one.head.replaceChildren(number, h("span", { class: "soft no-answer", title: nothing }, nothing));
    return;
  }
  const chip = h("span", { class: "chip", title: `Cluster ${letter(cluster)}` }, letter(cluster));
  const node = kind === null || isForModels(kind) ? answerNode(answer, 160) : answer.slice(0, 160);
  one.head.replaceChildren(number, h("span", { class: "card-answer" }, node), chip);
}

/** A candidate as it is read: one that calls tools may have no other text. */
function textOf({ text, candidate }: Card): string {
  return text === "" && candidate !== undefined ? calls(candidate) : text;
}

function calls({ tool_calls, function_call }: Candidate): string {
  const given: unknown[] = Array.isArray(tool_calls) ? tool_calls : function_call === undefined ? [] : [function_call];
  const written = given.map((call) => {
    const { name, arguments: args } = ((call as { function?: object } | null)?.function ?? call ?? {}) as Record<string, unknown>;
    // As the API has them: JSON in a text.
    const values = typeof args === "string" ? args : JSON.stringify(args ?? {});
    return callLines(`{"name":${JSON.stringify(String(name))},"arguments":${values}}`)[0] ?? "";
  });
  return written.join("\n");
}

function state(card: Card, page: State, reason: string | undefined, detail: string | undefined): string {
  if (card.status === "waiting") return "waiting";
  if (card.status === "streaming") return "arriving";
  if (card.status === "failed") return "failed";
  if (!isCounted(page) || page.tally?.kind === null) return "\u2013";
  return noAnswer(reason, detail);
}

function note({ cards, sampling }: State): string {
  const done = cards.filter((card) => card.status === "done").length;
  const failed = cards.filter((card) => card.status === "failed").length;
  if (cards.length === 0) return "";
  if (done === cards.length) return String(done);
  const parts = [`${done} of ${cards.length} arrived`];
  if (failed > 0) parts.push(`${failed} ${sampling.status === "stopped" ? "stopped or failed" : "failed"}`);
  return parts.join(", ");
}

function openReader({ cards, set }: State, index: number): void {
  const card = cards[index];
  if (card !== undefined)
    read(`Candidate ${index + 1} of ${plural(cards.length, "candidate")}`, textOf(card), set?.id ?? "");
}
