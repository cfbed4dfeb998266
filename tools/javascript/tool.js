/** Runs JavaScript code: what it prints, what it gives and what it throws, apart. */
import { any, fetch, files, http, nullable, array, object, optional, serve, string, tool } from "toolhost";

import { Captured, plain, shown } from "./plain.js";

const MOST_STACK = 16_000;

const ran = object({
  stdout: string("What it wrote with console.log, info and debug."),
  stderr: string("What it wrote with console.error and warn."),
  result: any("What it returned, or its global variable `result`, or the value of its last expression."),
  exception: nullable(
    object({
      type: string("Its class, such as TypeError."),
      message: string(),
      traceback: string("The places in the code that led to it."),
    }, "null where it ran to its end."),
  ),
  notes: array(string(), "What was cut, or is no JSON and stands here as its text."),
});

export const run = tool(
  {
    name: "run",
    title: "Run JavaScript code",
    description: `Runs JavaScript (ES2023) in a fresh sandboxed interpreter and returns what it printed, its result and its exception. Use it to compute, parse, convert or check instead of doing so in your head.

- Result: what a top-level \`return\` gives, else the variable \`result\` if the code sets one with \`var\` or without a declaration, else the value of the last expression. What JSON cannot say comes as its text.
- There: the language (Map, Set, BigInt, RegExp, Date, JSON, Math, typed arrays), \`console\`, \`crypto.getRandomValues\`, TextEncoder and TextDecoder, and \`input\`, which is your data.
- Not there: import, require, npm packages, Node, the DOM, timers, top-level await and anything that runs later: promises are not waited for. Nothing is kept between calls.
- Files: only in directories that the operator granted: \`files.readText(path)\`, \`files.read(path)\`, \`files.write(path, content)\`, \`files.list(path)\`, \`files.exists(path)\`, \`files.remove(path)\`; \`files.list\` wants a granted path.
- Network: only sites that the operator granted: \`fetch(url, {method, headers, body})\` gives the response itself, not a promise; \`.status\`, \`.text()\`, \`.json()\`.
- Limits: seconds of computing and some 50 MB of memory; stdout and stderr are cut at 1,048,576 characters each.

An exception of the code, syntax errors included, is in \`exception\`; what was printed before it is there too. Running out of time, of memory or of stack (recursion without an end) ends the call without a result.`,
    args: {
      code: string("JavaScript source, run as a script. The last line may be an expression."),
      input: optional(any("Any JSON value; the code finds it in the variable `input`.")),
    },
    result: ran,
  },
  ({ code, input = null }) => {
    const out = new Captured();
    const err = new Captured();
    const notes = [];
    let value;
    let exception = null;
    const undo = give({
      input, files, http, fetch,
      console: {
        log: (...values) => out.line(values), info: (...values) => out.line(values),
        debug: (...values) => out.line(values),
        error: (...values) => err.line(values), warn: (...values) => err.line(values),
      },
    });
    try {
      value = execute(code);
      value = plain(value, notes);
    } catch (thrown) {
      value = null;
      exception = describe(thrown);
    } finally {
      undo();
    }
    for (const [name, captured] of Object.entries({ stdout: out, stderr: err })) {
      if (captured.lost > 0) notes.push(`${name} is cut: ${captured.lost} more characters were written`);
    }
    return { stdout: out.text(), stderr: err.text(), result: value, exception, notes };
  },
);

/** Puts globals in their place, and gives what puts back those that were there. */
function give(globals) {
  const before = Object.getOwnPropertyDescriptors(globalThis);
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
  return () => {
    for (const name of [...Object.keys(globals), "result"]) {
      if (before[name]) Object.defineProperty(globalThis, name, before[name]);
      else delete globalThis[name];
    }
  };
}

/** Runs code as a script, whose last expression is its value, or as a function where it returns. */
function execute(code) {
  // Indirect: the code sees the globals and nothing of this module.
  const evaluate = globalThis.eval;
  const asFunction = compiled(() => globalThis.Function(code));
  // Only a `return` at the top fits a function and no block.
  if (asFunction && !compiled(() => [evaluate(`while (false) {${code}\n}`)])) return asFunction();
  const value = evaluate(code);
  return globalThis.result === undefined ? value : globalThis.result;
}

function compiled(f) {
  try {
    return f();
  } catch {
    return null;
  }
}

/** Something thrown, with those places alone that are the code's. */
function describe(thrown) {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: shown(thrown), traceback: "" };
  let type = "Error";
  let message = "";
  let stack = "";
  try {
    type = String(thrown.name);
    message = String(thrown.message);
    stack = String(thrown.stack ?? "");
  } catch {
    message ||= "it has no text";
  }
  const own = stack.split("\n").filter((line) => /<input>|<evalScript>|<eval>|evalmachine|<anonymous>/.test(line) && !/tool\.js/.test(line));
  return { type, message: message.slice(0, MOST_STACK), traceback: own.join("\n").slice(0, MOST_STACK) };
}

export const tools = serve(run);
