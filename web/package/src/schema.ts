// JSON Schemas: whether one is a schema at all, and whether records meet it. What checks is a library of its own, which needs no
// `eval` and fetches nothing; it is loaded where there is a schema, and not before.

import { AggregatorError } from "./errors.js";
import type { SchemaCheck } from "./wasm.js";

type Json = { [name: string]: unknown };
type Draft = "4" | "7" | "2019-09" | "2020-12";

/** Keywords whose value has schemas by names of the user's. */
const NAMED = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/** Keywords whose value is a value of the user's. */
const VALUES = ["const", "enum", "default", "examples"];

/** Gives the function that says why a record does not meet `schema`. */
export async function schemaCheck(schema: unknown): Promise<SchemaCheck> {
  const { Validator, dereference } = await import("./json-schema/index.js");
  const draft = draftOf(schema);
  // Before 2019 a `format` was to be met, since then it is a note; as the command line has it.
  const plain = copy(schema, draft === "4" || draft === "7");
  const shape = new Validator(SHAPE, "2020-12").validate(plain);
  if (!shape.valid) throw wrong(reasonOf(shape.errors));
  try {
    const schemas = dereference(plain);
    for (const one of Object.values(schemas)) if (typeof one === "object") checkParts(one, schemas);
    const validator = new Validator(plain, draft);
    return (record) => {
      const { valid, errors } = validator.validate(JSON.parse(record));
      return valid ? undefined : reasonOf(errors);
    };
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
}

/** What the checker would find out only when a record brings it there. */
function checkParts(schema: Json, schemas: Json): void {
  const { pattern, patternProperties, __absolute_ref__: ref } = schema;
  for (const source of [pattern, ...Object.keys(patternProperties ?? {})]) {
    if (typeof source === "string") new RegExp(source, "u");
  }
  if (typeof ref === "string" && schemas[ref] === undefined) {
    throw new Error(`there is no schema at \`${schema["$ref"]}\`: expected a reference within the schema, nothing is fetched`);
  }
}

function draftOf(schema: unknown): Draft {
  const said = typeof schema === "object" && schema !== null ? String((schema as Json)["$schema"] ?? "") : "";
  if (said.includes("draft-04")) return "4";
  if (/draft-0[67]/.test(said)) return "7";
  return said.includes("2019-09") ? "2019-09" : "2020-12";
}

/** A copy as plain data: the checker writes into the schema that it is given. */
function copy(schema: unknown, withFormats: boolean): boolean | Json {
  let text: string | undefined;
  try {
    text = JSON.stringify(schema);
  } catch {
    // Something in it is no JSON, or it holds itself.
  }
  if (text === undefined) throw wrong("expected a JSON Schema");
  const plain = JSON.parse(text) as boolean | Json;
  return withFormats ? plain : (withoutFormats(plain, false) as boolean | Json);
}

function withoutFormats(value: unknown, areNames: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutFormats(item, false));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => areNames || name !== "format");
  return Object.fromEntries(
    entries.map(([name, inner]) => {
      const isValue = !areNames && VALUES.includes(name);
      return [name, isValue ? inner : withoutFormats(inner, !areNames && NAMED.includes(name))];
    }),
  );
}

/** The innermost of what is wrong, with its place. */
function reasonOf(errors: { instanceLocation: string; error: string }[]): string {
  const { instanceLocation = "#", error = "does not meet the schema" } = errors.at(-1) ?? {};
  const place = instanceLocation.slice(1);
  return `${place === "" ? "" : `${place}: `}${error}`.slice(0, 200);
}

function wrong(reason: string): AggregatorError {
  return new AggregatorError("input", `schema: ${reason}`);
}

const inner = { $ref: "#" };
const list = { type: "array", items: inner, minItems: 1 };
const byName = { type: "object", additionalProperties: inner };
const count = { type: "integer", minimum: 0 };
const texts = { type: "array", items: { type: "string" } };
const type = { enum: ["null", "boolean", "object", "array", "number", "integer", "string"] };
const limit = { type: ["number", "boolean"] };

const each = (names: string, shape: Json) => Object.fromEntries(names.split(" ").map((name) => [name, shape]));

/** What a schema is: the keywords that mean something have what they need. */
const SHAPE: Json = {
  type: ["object", "boolean"],
  properties: {
    ...each("$id $schema $ref $anchor pattern format title description $comment", { type: "string" }),
    ...each("additionalProperties unevaluatedProperties unevaluatedItems additionalItems contains propertyNames not if then else", inner),
    ...each("allOf anyOf oneOf prefixItems", list),
    ...each(NAMED.join(" "), byName),
    ...each("minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains", count),
    ...each("minimum maximum", { type: "number" }),
    ...each("exclusiveMinimum exclusiveMaximum", limit),
    multipleOf: { type: "number", exclusiveMinimum: 0 },
    uniqueItems: { type: "boolean" },
    enum: { type: "array" },
    required: { type: ["array", "boolean"], items: { type: "string" } },
    dependentRequired: { type: "object", additionalProperties: texts },
    items: { anyOf: [inner, { type: "array", items: inner }] },
    type: { anyOf: [type, { type: "array", items: type, minItems: 1, uniqueItems: true }] },
  },
};
