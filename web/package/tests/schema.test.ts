// JSON Schemas: what meets them, in the same drafts and with the same defaults as on the command line.

import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaCheck } from "../src/schema.js";
import { failure } from "./fakes/expect.js";

test("a record meets a schema, or the place and the reason are said", async () => {
  const check = await schemaCheck({
    type: "object",
    required: ["name"],
    properties: { name: { type: "string" }, age: { type: "integer", minimum: 0 } },
  });
  assert.equal(check('{"name":"Ada","age":36}'), undefined);
  assert.match(check('{"name":"Ada","age":-1}') ?? "", /^\/age: /);
  assert.match(check("{}") ?? "", /name/);
  assert.notEqual(check("null"), undefined);
});

test("the schema of the caller stays as it was", async () => {
  const schema = Object.freeze({ properties: Object.freeze({ format: Object.freeze({ type: "string", format: "date" }) }) });
  const check = await schemaCheck(schema);
  // A field may be named as a keyword is.
  assert.notEqual(check('{"format":7}'), undefined);
});

test("a format is a note since 2019, and was a rule before", async () => {
  const schema = { properties: { day: { format: "date" } } };
  assert.equal((await schemaCheck(schema))('{"day":"tomorrow"}'), undefined);
  const old = await schemaCheck({ $schema: "http://json-schema.org/draft-07/schema#", ...schema });
  assert.match(old('{"day":"tomorrow"}') ?? "", /^\/day: /);
});

test("references within a schema are followed, nothing is fetched", async () => {
  const list = { $defs: { list: { properties: { next: { $ref: "#/$defs/list" }, value: { type: "number" } } } }, $ref: "#/$defs/list" };
  const check = await schemaCheck(list);
  assert.equal(check('{"value":1,"next":{"value":2}}'), undefined);
  assert.match(check('{"value":1,"next":{"value":"2"}}') ?? "", /^\/next\/value: /);
  const remote = { properties: { a: { $ref: "https://example.com/schema.json" } } };
  await assert.rejects(schemaCheck(remote), failure("input", "nothing is fetched"));
});

test("what is no schema is said before any record is looked at", async () => {
  const itself: Record<string, unknown> = {};
  itself["properties"] = itself;
  const wrong = [
    "text", 7, [], itself, { type: "strange" }, { properties: { a: { type: ["string", "strange"] } } }, { required: "a" }, { enum: "a" },
    { anyOf: [] }, { properties: [] }, { minLength: -1 }, { properties: { a: { pattern: "(" } } }, { multipleOf: 0 },
  ];
  for (const schema of wrong) await assert.rejects(schemaCheck(schema), failure("input", "schema: "));
  for (const schema of [{}, true, { const: { type: "strange" } }, { items: [{}, true] }]) {
    assert.equal((await schemaCheck(schema))('{"type":"strange"}'), undefined);
  }
  assert.notEqual((await schemaCheck(false))("{}"), undefined);
});

test("names that every object has are fields like others", async () => {
  const check = await schemaCheck({ required: ["constructor"], additionalProperties: false, properties: { constructor: {} } });
  assert.notEqual(check("{}"), undefined);
  assert.equal(check('{"constructor":1}'), undefined);
});
