/** Talking to the shop: where it is, what it answers, what its errors mean. It does not know orders. */
import { ToolError, env, http } from "toolhost";

import { isObject, member } from "./loose.js";

// Where the shop is when the manifest says nothing (`env.SHOP_URL`).
const DEFAULT_URL = "http://127.0.0.1:8080";
// What an error inside an answer means, by the words in it; the first that fits.
const MEANINGS = [
  ["not-found", /not found|not_found|notfound|unknown|no such|does not exist|404/],
  ["rate-limited", /too many|rate limit|429/],
  ["unavailable", /timeout|timed out|busy|try again|maintenance|unavailable|503/],
  ["denied", /forbidden|not allowed|already refunded|denied|403/],
];

/** Asks for a path. `wrappers` are the names under which the answer's object may be put. */
export const get = (path, wrappers) => exchange(http.get(url(path)), wrappers);

/** Sends JSON to a path. */
export function post(path, body, wrappers) {
  try {
    return exchange(http.post(url(path)).jsonContent(body), wrappers);
  } catch (error) {
    if (error.code !== "unavailable") throw error;
    // Whether it was done is not known, so "the same call may work later" would be a trap.
    throw ToolError.failed(
      "it is not known whether the shop took the request; look the order up before asking again: " +
        error.message,
    );
  }
}

const url = (path) => env("SHOP_URL", DEFAULT_URL).replace(/\/+$/, "") + path;

function exchange(request, wrappers) {
  const response = request.header("accept", "application/json").send();
  if (response.status >= 400) throw refused(response);
  let body = bodyOf(response);
  const complaint = complaintOf(body);
  if (complaint) {
    const everything = `${complaint.code} ${complaint.said}`.toLowerCase();
    const [code] = MEANINGS.find(([, words]) => words.test(everything)) ?? ["failed"];
    throw new ToolError(code, `the shop says: ${complaint.said}`);
  }
  for (const name of ["data", "result", ...wrappers]) {
    if (isObject(member(body, name))) body = body[name];
  }
  return body;
}

/** The body as a JSON object. */
function bodyOf(response) {
  const text = response.text().trim();
  if (text.startsWith("<")) {
    throw ToolError.unavailable(
      "the shop answered with a web page in place of data; that is what it does in maintenance, " +
        "try again later",
    );
  }
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (isCutOff(text)) throw ToolError.unavailable("the shop's answer is cut off; try again later");
    throw ToolError.failed(`the shop's answer is no JSON: ${error.message}`);
  }
  // Lists of one are how the old interface answers some lookups.
  if (Array.isArray(value)) {
    if (value.length === 1 && isObject(value[0])) return value[0];
    throw ToolError.failed("the shop answered with a list where one thing was asked for");
  }
  if (!isObject(value)) throw ToolError.failed("the shop answered with JSON that is no object");
  return value;
}

/** Whether an object or a list, or a text in it, is still open where it ends. */
function isCutOff(text) {
  const bare = text.replace(/"(?:[^"\\]|\\[^])*"/g, "");
  const opened = bare.replace(/[^[{]/g, "").length > bare.replace(/[^\]}]/g, "").length;
  return text === "" || (/^[[{]/.test(text) && (bare.includes('"') || opened));
}

/** What an answer complains of, whatever its status: `{"error": ...}`, `{"success": false}`, ... */
function complaintOf(body) {
  const status = member(body, "status");
  const unsuccessful = body.success === false || body.ok === false ||
    (typeof status === "string" && status.toLowerCase() === "error");
  const error = Object.hasOwn(body, "error") ? body.error : member(body, "errors");
  let code = beside(body, ["code", "error_code"]);
  let said;
  if (isObject(error)) {
    code = wordsOf(member(error, "code"));
    said = Object.hasOwn(error, "message") ? wordsOf(error.message) : code;
  } else if (Array.isArray(error)) said = wordsOf(error[0] ?? null);
  else said = error === true ? "" : wordsOf(error);
  if (said === null && !unsuccessful) return null;
  said ||= beside(body, ["message", "detail", "reason"]) ?? "an error without a word about it";
  return { said, code: code ?? "" };
}

const beside = (body, names) =>
  names.map((name) => wordsOf(member(body, name))).find((words) => words !== null) ?? null;

function wordsOf(value) {
  if (typeof value === "string") return value.trim() || null;
  return typeof value === "number" ? String(value) : null;
}

/** A status that is an error: the shop's own words where it has any, never its web page. */
function refused(response) {
  const { status } = response;
  let complaint = null;
  try {
    complaint = complaintOf(bodyOf(response));
  } catch {
    // A page, or nothing: there are no words to pass on.
  }
  let code = { 400: "invalid-arguments", 422: "invalid-arguments", 409: "denied" }[status];
  try {
    response.throwForStatus();
  } catch (error) {
    code ??= error.code;
  }
  let message = `the shop answered with status ${status}`;
  if (complaint) message += ` and says: ${complaint.said}`;
  else if (status >= 500) message = `the shop failed with status ${status}; try again later`;
  return new ToolError(code, message, { retryAfter: response.retryAfter() });
}

/** A name that may stand in a path. */
export function identifier(argument, text) {
  const name = text.trim();
  if (/^[A-Za-z0-9_.-]{1,64}$/.test(name) && /[A-Za-z0-9]/.test(name)) return name;
  throw ToolError.invalidArguments(
    `${argument}: ${JSON.stringify(name)} is no number of the shop; use 1 to 64 letters, digits, ` +
      "`-`, `_` and `.`",
  );
}

/** Refuses an answer about something else than was asked for. */
export function same(what, asked, found) {
  if (found !== null && found.toLowerCase() !== asked.toLowerCase()) {
    throw ToolError.failed(
      `the shop answered with ${what} ${JSON.stringify(found)} when asked for ` +
        `${JSON.stringify(asked)}; try again, and tell a person if it stays so`,
    );
  }
  return asked;
}
