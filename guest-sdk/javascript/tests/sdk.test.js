/** The SDK natively. Run in `guest-sdk/javascript`: node --test tests/*.test.js */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { randomness } from "../random.js";
import * as own from "../text.js";
import * as types from "../types.js";
import {
  ToolError, any, array, config, files, http, integer, kv, log, nullable, number, object, oneOf, optional,
  output, progress, record, serve, string, tool,
} from "../toolhost.js";

const stop = object({ minutes: integer("How long.", { minimum: 0 }), label: optional(nullable(string())) });
const plan = tool(
  {
    name: "plan",
    title: "Plan a trip",
    description: "Plans a trip.",
    readOnly: true,
    args: {
      stops: array(stop, "Where to."),
      mode: optional(oneOf(["fast", "cheap"], undefined, { default: "fast" })),
      budget: optional(number()),
      tags: optional(record(string())),
    },
    result: object({ stops: array(stop), mode: string() }),
  },
  ({ stops, mode }) => ({ stops, mode }),
);

const refused = (f) => {
  try {
    f();
  } catch (error) {
    return error;
  }
  assert.fail("it was not refused");
};

test("types become schemas", () => {
  const { inputSchema, outputSchema } = plan.definition;
  assert.deepEqual(inputSchema.required, ["stops"]);
  assert.equal(inputSchema.additionalProperties, false);
  assert.deepEqual(inputSchema.properties.stops.items.properties.label, { type: ["string", "null"], ...unsaid() });
  assert.deepEqual(JSON.parse(JSON.stringify(inputSchema.properties.mode)), {
    type: "string", enum: ["fast", "cheap"], default: "fast",
  });
  assert.deepEqual(outputSchema.required, ["stops", "mode"]);
});

test("the table of the README is true", () => {
  const text = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| `([^`]+)` \| `(\{[^`]*\})` \| `([^`]+)` \|$/gm)];
  assert.equal(rows.length, 12);
  for (const [, type, written, sent] of rows) {
    const made = new Function(...Object.keys(types), `return ${type}`)(...Object.values(types));
    assert.deepEqual(JSON.parse(JSON.stringify(made)), JSON.parse(written), type);
    types.read(made, JSON.parse(sent));
  }
});

// `optional` marks with a symbol, which no JSON has.
function unsaid() {
  const marked = optional({});
  return Object.fromEntries(Object.getOwnPropertySymbols(marked).map((symbol) => [symbol, true]));
}

test("arguments are checked, and defaults filled in", () => {
  assert.equal(plan.call('{"stops":[{"minutes":3}]}').structured, '{"stops":[{"minutes":3}],"mode":"fast"}');
  const cases = [
    [{ stops: [{ minutes: 1 }, { minutes: "x" }] }, 'stops[1].minutes: expected a whole number, got "x"'],
    [{ stops: [{}] }, "stops[0].minutes: is missing"],
    [{ stops: [{ minutes: 1, x: 1 }] }, "stops[0].x: is not known; there are: minutes, label"],
    [{ stops: [], mode: "slow" }, 'mode: expected one of "fast", "cheap", got "slow"'],
    [{ stops: [], budget: true }, "budget: expected a number, got true"],
    [{ stops: [], tags: { a: 1 } }, "tags.a: expected a text, got 1"],
    [{ stops: null }, "stops: expected a list, got null"],
    [{}, "stops: is missing"],
    [{ stops: [], trap: 1 }, "trap: is not known; there are: stops, mode, budget, tags"],
    [[], "the arguments are no JSON object"],
  ];
  for (const [args, message] of cases) {
    const error = refused(() => plan.call(JSON.stringify(args)));
    assert.deepEqual([error.code, error.message], ["invalid-arguments", message]);
  }
  assert.equal(refused(() => plan.call("{")).code, "invalid-arguments");
});

test("whatever is thrown becomes an error the agent can read", () => {
  const end = tool({ name: "end", description: "Ends.", args: { how: string() } }, ({ how }) => {
    if (how === "type") return null.x;
    if (how === "tool") throw ToolError.rateLimited("slow down", { retryAfter: 7, data: { limit: 30 } });
    if (how === "promise") return Promise.resolve(1);
    if (how === "big") return { n: 1n };
    throw how;
  });
  const tools = serve(end);
  const thrown = (how) => refused(() => tools.call("end", JSON.stringify({ how })));
  log.recorded();
  assert.match(thrown("type").message, /^TypeError: /);
  const [{ level, context, message }] = log.recorded();
  assert.deepEqual([level, context], ["error", "stack"]);
  assert.match(message, /sdk\.test\.js/);
  assert.deepEqual(thrown("tool"), {
    code: "rate-limited", message: "slow down", retryAfter: 7, data: '{"limit":30}',
  });
  assert.match(thrown("promise").message, /without async/);
  assert.equal(thrown("big").code, "failed");
  assert.equal(thrown("words").message, "thrown: words");
  assert.equal(refused(() => tools.call("other", "{}")).code, "not-found");
});

test("what cannot be a function says so", () => {
  const about = { name: "a", description: "A." };
  for (const [wrong, words] of [
    [{ ...about, name: "A-1" }, /no name/],
    [{ ...about, description: "" }, /description/],
    [{ ...about, arguments: {} }, /arguments is not known/],
  ]) assert.throws(() => tool(wrong, () => {}), words);
  assert.throws(() => serve(plan, plan), /two functions/);
});

test("a whole number is an integer however it is written", () => {
  const args = { n: integer(), all: optional(array(integer())), one: optional(oneOf([1, 2])) };
  const count = tool({ name: "count", description: "Counts.", args, result: any() }, (given) => given);
  const of = (text) => count.call(text).structured;
  assert.equal(of('{"n":7.0,"all":[1e1,2.0],"one":2.0}'), '{"n":7,"all":[10,2],"one":2}');
  assert.match(refused(() => count.call('{"n":7.5}')).message, /n: expected a whole number/);
});

test("results are text, structured, or of several pieces", () => {
  const of = (result, value) => tool({ name: "a", description: "A.", result }, () => value).call("{}");
  assert.deepEqual(of(undefined, "hi").contents, [{ tag: "text", val: "hi" }]);
  assert.equal(of(array(integer()), [1]).structured, '{"result":[1]}');
  assert.equal(of(string(), "hi").structured, '{"result":"hi"}');
  assert.equal(of(undefined, undefined).structured, null);
  const pieces = output().text("a").blob("image/png", new Uint8Array([1])).link("https://a.example/", "a");
  assert.equal(of(undefined, pieces).contents.length, 3);
});

test("HTTP is one line", () => {
  const shop = (request) => {
    assert.equal(request.url, "https://shop.example/orders/a%2Fb?q=a%20b%26c%3D%C3%BC%21");
    assert.deepEqual(request.headers, [["accept", "application/json"]]);
    return new http.Response(200, '{"minutes": 3, "more": 1}');
  };
  const ask = () => http.get(`https://shop.example/orders/${http.segment("a/b")}`).query("q", "a b&c=ü!").json(stop);
  assert.deepEqual(http.answering(shop, ask), { minutes: 3, more: 1 });
  const page = () => new http.Response(200, "<html>");
  assert.match(refused(() => http.answering(page, () => http.get("https://a.example/").json())).message, /<html>/);
  const expected = { 400: "failed", 401: "denied", 404: "not-found", 408: "unavailable", 429: "rate-limited", 503: "unavailable" };
  for (const [status, code] of Object.entries(expected)) {
    const response = new http.Response(Number(status), "why", [["Retry-After", "30"]]);
    const error = refused(() => response.throwForStatus());
    assert.deepEqual([error.code, error.retryAfter], [code, 30]);
    assert.equal(error.message, `the upstream answered with status ${status}: why`);
  }
});

test("buckets, values, files, progress", () => {
  kv.withBuckets(["notes"], () => {
    const bucket = kv.open("notes");
    bucket.set("a", "one");
    bucket.setJson("b", { x: 1 });
    assert.equal(bucket.getText("a"), "one");
    assert.deepEqual(bucket.getJson("b", object({ x: integer() })), { x: 1 });
    assert.equal(bucket.increment("n", 5) + bucket.increment("n"), 11);
    let first = true;
    bucket.update("a", (value) => {
      if (first) bucket.set("a", "two");
      first = false;
      return `${new TextDecoder().decode(value)}!`;
    });
    assert.equal(bucket.getText("a"), "two!");
    bucket.deleteMany(["a", "n"]);
    assert.deepEqual(bucket.keys(), ["b"]);
    assert.equal(refused(() => kv.open("other")).reason, "no-such-store");
  });
  config.withValues({ currency: "CHF" }, () => assert.equal(config.get("currency"), "CHF"));
  assert.equal(config.get("currency", "EUR"), "EUR");
  progress.report(1, 2, "half");
  assert.deepEqual(progress.recorded(), [{ done: 1, total: 2, message: "half" }]);
  files.withFiles("/notes", { "a.md": "hi" }, () => {
    assert.equal(files.readText("/notes/a.md"), "hi");
    files.write("/notes/b.md", "x".repeat(100_000));
    assert.equal(files.read("/notes/b.md").length, 100_000);
    assert.deepEqual(files.list("/notes/"), ["a.md", "b.md"]);
    assert.equal(files.exists("/notes/c.md"), false);
    assert.equal(refused(() => files.read("/notes/c.md")).code, "not-found");
    assert.equal(refused(() => files.read("/other/c.md")).code, "not-found");
  });
  // Where relative paths begin.
  for (const start of ["/", "."]) {
    files.withFiles(start, { "a.md": "hi" }, () => {
      for (const path of ["a.md", "./a.md", "/a.md", "//./a.md"]) assert.equal(files.readText(path), "hi");
      for (const path of ["/", ".", "./"]) assert.deepEqual(files.list(path), ["a.md"]);
    });
  }
});

test("UTF-8 is as the platform has it", () => {
  const texts = ["", "plain", "ü€😀", "a\ud800b", "\udfff", "x".repeat(9000) + "é", "\u0000\u07ff\u0800\uffff\u{10ffff}"];
  for (const text of texts) {
    const bytes = new TextEncoder().encode(text);
    assert.deepEqual(new own.TextEncoder().encode(text), bytes);
    assert.equal(new own.TextDecoder().decode(bytes), new TextDecoder().decode(bytes));
  }
  // Every sequence of three bytes out of those that are edges of something, cut off or not.
  const edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff];
  for (const a of edges) for (const b of edges) for (const c of edges) for (const d of [0x80, 0x41]) {
    const bytes = new Uint8Array([a, b, c, d]);
    assert.equal(new own.TextDecoder().decode(bytes), new TextDecoder().decode(bytes), String(bytes));
  }
  assert.equal(new own.TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x41])), "A");
  assert.throws(() => new own.TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([0xff])), TypeError);
});

test("randomness is as good as its source", () => {
  const { random, crypto } = randomness((length) => new Uint8Array(length).fill(255));
  assert.equal(random(), 1 - 2 ** -53);
  assert.match(crypto.randomUUID(), /^ffffffff-ffff-4fff-bfff-ffffffffffff$/);
  assert.deepEqual(crypto.getRandomValues(new Uint16Array(2)), new Uint16Array([65535, 65535]));
  assert.throws(() => crypto.getRandomValues(new Float64Array(1)), TypeError);
});

test("a member called __proto__ is a member", () => {
  const keep = tool({ name: "keep", description: "Keeps.", args: { all: any() } }, ({ all }) => ({ all }));
  assert.equal(keep.call('{"all":{"__proto__":{"x":1}}}').structured, '{"all":{"__proto__":{"x":1}}}');
});

test("half of a surrogate pair does not lose the result", () => {
  const half = tool({ name: "half", description: "x", result: any() }, () => ({ "\ud800k": ["a\udc00", "\ud83d\ude00", "\\ud800"] }));
  const { structured } = half.call("{}");
  assert.deepEqual(JSON.parse(structured), { "\ufffdk": ["a\ufffd", "\ud83d\ude00", "\\ud800"] });
  assert.ok(!/\\ud[89a-f]/.test(structured.replace(/\\\\/g, "")));
  assert.equal(output().text("a\ud800").contents[0].val, "a\ufffd");
  const failing = tool({ name: "failing", description: "x" }, () => {
    throw ToolError.failed("\ud800", { data: { at: "\udfff" } });
  });
  const { message, data } = refused(() => serve(failing).call("failing", "{}"));
  assert.equal(message, "\ufffd");
  assert.equal(data, '{"at":"\ufffd"}');
});
