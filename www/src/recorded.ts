// Recorded sample sets: the project's examples, as they lie in `examples/`.

import { readJsonlText } from "./jsonl.ts";
import type { SampleSet } from "./sample-set.ts";

export interface Group {
  name: string;
  note: string;
  sets: SampleSet[];
}

/** In a chunk of their own, so that the page stands before they are there. */
export async function recordedGroups(): Promise<Group[]> {
  const [arithmetic, math, labels, records] = await Promise.all([
    import("../../examples/arithmetic.jsonl?raw"),
    import("../../examples/math500.jsonl?raw"),
    import("../../examples/labels.jsonl?raw"),
    import("../../examples/records.jsonl?raw"),
  ]);
  return [
    {
      name: "Arithmetic",
      note: "Solutions by simulated solvers: what the built-in model was trained for.",
      sets: readJsonlText(arithmetic.default).sets,
    },
    {
      name: "MATH-500",
      note: "Solutions by Qwen2.5-1.5B-Instruct. The built-in model does not know such problems.",
      sets: readJsonlText(math.default).sets,
    },
    {
      name: "Labels",
      note: "Verdicts written for this page: a tie has no answer, and who failed still counts.",
      sets: readJsonlText(labels.default).sets,
    },
    {
      name: "JSON and tool calls",
      note: "Records written for this page: each field is voted on by itself.",
      sets: readJsonlText(records.default).sets,
    },
  ];
}
