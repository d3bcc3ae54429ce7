// The fields of a merged record, with their votes.

import { percent } from "../format.ts";
import { fieldRow } from "../kinds.ts";
import type { FieldVote } from "../sample-set.ts";
import { h } from "./dom.ts";

/** Fields drawn; the rest is told in one line. */
export const MOST_FIELDS = 200;

export function fieldItem(field: FieldVote, candidates: number): HTMLLIElement {
  const { name, value, isMissing, votes, share, review, others } = fieldRow(field);
  const fill = h("span", { class: "fill" });
  fill.style.transform = `scaleX(${Math.min(1, Math.max(0, share))})`;
  return h(
    "li",
    { class: review ? "record-field to-review" : "record-field" },
    h("span", { class: "field-name" }, name),
    review ? h("span", { class: "review" }, "review") : null,
    h("span", { class: "votes" }, `${votes} of ${candidates}, ${percent(share)}`),
    h("span", { class: isMissing ? "field-value soft" : "field-value" }, value),
    h("span", { class: "gauge", "aria-hidden": true }, fill),
    others === "" ? null : h("span", { class: "hint" }, `also ${others}`),
  );
}
