/**
 * The functions of a tool: what they say of themselves, how JSON becomes their arguments, and the
 * component's edge, where nothing is thrown but the contract's error.
 */
import { ToolError, named, ofThrown } from "./error.js";
import * as log from "./log.js";
import { jsonText, ofValue } from "./output.js";
import { outside } from "./outside.js";
import { Mismatch, object, read } from "./types.js";

const NAME = /^[a-z][a-z0-9_]{0,63}$/;
const KEYS = [
  "name", "title", "description", "args", "result", "readOnly", "destructive", "idempotent", "openWorld",
];

/**
 * Makes a function one that agents can call. It gets one object, its arguments, and is called as ever
 * in JavaScript.
 *
 * `about` has its `name`, its `description`, which agents decide by, the types of its `args` by name,
 * the type of its `result` where that is structured, a `title` for people, and its promises:
 * `readOnly`, `destructive`, `idempotent`, `openWorld`. The host believes the worse of promise and
 * grant.
 */
export function tool(about, run) {
  const wrong = (problem) => new TypeError(`the function ${about.name}: ${problem}`);
  if (typeof run !== "function") throw wrong("there is nothing to run");
  if (!NAME.test(about.name)) throw wrong("no name: 1 to 64 of a-z, 0-9 and _, a letter first");
  if (!about.description) throw wrong("agents decide by its description, and it has none");
  for (const key of Object.keys(about)) {
    if (!KEYS.includes(key)) throw wrong(`the key ${key} is not known; there are ${KEYS.join(", ")}`);
  }
  const input = object(about.args ?? {}, undefined, { additionalProperties: false });
  const made = (args) => run(args);
  made.definition = {
    name: about.name,
    title: about.title ?? null,
    description: about.description,
    inputSchema: input,
    outputSchema: about.result === undefined ? null : resultSchema(about.result),
    hints: {
      readOnly: about.readOnly ?? null,
      destructive: about.destructive ?? null,
      idempotent: about.idempotent ?? null,
      openWorld: about.openWorld ?? null,
    },
  };
  /** Runs it with a JSON object as text. Gives an output, throws nothing but `ToolError`. */
  made.call = (text) => {
    try {
      const value = run(readArguments(input, text));
      if (typeof value?.then === "function") {
        throw ToolError.failed(
          "the function gave a promise: a call is one plain run here, without async and await",
        );
      }
      return ofValue(value, about.result !== undefined);
    } catch (thrown) {
      if (!(thrown instanceof ToolError)) log.write("error", "stack", `${named(thrown)}\n${thrown?.stack ?? ""}`);
      throw ofThrown(thrown);
    }
  };
  return made;
}

/** Agents of older protocol revisions take objects only, so anything else goes into one. */
function resultSchema(type) {
  if (type.type === "object") return type;
  return object({ result: type }, undefined, { additionalProperties: false });
}

function readArguments(input, text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw ToolError.invalidArguments(`the arguments are no JSON: ${error.message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw ToolError.invalidArguments("the arguments are no JSON object");
  }
  try {
    return read(input, value);
  } catch (error) {
    throw error instanceof Mismatch ? ToolError.invalidArguments(error.message) : error;
  }
}

/** Makes functions a tool: `export const tools = serve(lookUp, refund)`. */
export function serve(...functions) {
  const byName = new Map();
  for (const made of functions) {
    if (!made?.definition) throw new TypeError("serve takes what tool() made");
    const { name } = made.definition;
    if (byName.has(name)) throw new TypeError(`two functions are called ${name}`);
    byName.set(name, made);
  }
  return {
    definitions() {
      outside.started = true;
      return functions.map(({ definition }) => ({
        ...definition,
        inputSchema: JSON.stringify(definition.inputSchema),
        outputSchema: definition.outputSchema && JSON.stringify(definition.outputSchema),
      }));
    },
    call(name, text) {
      outside.started = true;
      try {
        const made = byName.get(name);
        if (!made) throw ToolError.notFound(`this tool has no function ${JSON.stringify(name)}`);
        const { structured, contents } = made.call(text);
        return { structured, contents };
      } catch (error) {
        const { code, message, retryAfter, data } = ofThrown(error);
        throw { code, message: message.toWellFormed(), retryAfter, data: dataText(data) };
      }
    },
  };
}

// An error must not fail.
function dataText(data) {
  try {
    return data === null || data === undefined ? null : (jsonText(data) ?? null);
  } catch {
    return null;
  }
}
