/**
 * Messages for the operator. The host adds time, tool, function and caller, and keeps what the
 * manifest grants.
 */
import { outside } from "./outside.js";

const LEVELS = ["trace", "debug", "info", "warn", "error", "critical"];
// Natively messages are kept for `recorded`; a program that never reads must not fill the memory.
const KEPT = 10_000;
let kept = [];

/** Says something; `context` is a short name of the part that speaks, or empty. */
export function write(level, context, message) {
  if (!LEVELS.includes(level)) throw new TypeError(`${level} is no level; there are ${LEVELS.join(", ")}`);
  if (outside.host) outside.host.logging.log(level, context, String(message).toWellFormed());
  else if (kept.length < KEPT) kept.push({ level, context, message: String(message) });
}

/** Says every step. */
export const trace = (message) => write("trace", "", message);
/** Says what helps to find a fault. */
export const debug = (message) => write("debug", "", message);
/** Says what an operator wants to read. */
export const info = (message) => write("info", "", message);
/** Says that something is odd. */
export const warn = (message) => write("warn", "", message);
/** Says that the call cannot do what it should. */
export const error = (message) => write("error", "", message);

/** Takes what was said so far; for native tests. */
export function recorded() {
  const said = kept;
  kept = [];
  return said;
}
