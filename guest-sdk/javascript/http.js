/**
 * HTTP in one line: `http.get(url).query("fields", "state").json(order)`.
 *
 * Requests go where the manifest grants it, credentials are added by the host, redirects are
 * followed only where the grant says so. A status that is an error becomes a `ToolError` that an agent can act on.
 */
import { ToolError } from "./error.js";
import { during, outside, payload } from "./outside.js";
import { Mismatch, any, read } from "./types.js";

// So much of an answer is quoted in an error.
const QUOTED = 300;
// What the host's reasons mean to an agent; every other one is `failed`.
const CODES = { denied: "denied", timeout: "unavailable", unreachable: "unavailable" };

/** Why there is no response; `reason` is one of `wit/http.wit`'s codes. */
export class HttpError extends ToolError {
  constructor(reason, message) {
    super(CODES[reason] ?? "failed", message);
    this.reason = reason;
  }
}

/** Requests, built in one line and sent by `send` or `json`. */
export const get = (url) => new Request("GET", url);
export const post = (url) => new Request("POST", url);
export const put = (url) => new Request("PUT", url);
export const patch = (url) => new Request("PATCH", url);
export { delete_ as delete };
const delete_ = (url) => new Request("DELETE", url);

/** A text as one segment of a path: nothing in it ends the segment. */
export const segment = (text) =>
  encodeURIComponent(String(text).toWellFormed()).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/**
 * `fetch` as it is known, but plain: it gives the response itself and not a promise of it. `await`
 * before it does no harm.
 */
export function fetch(url, { method = "GET", headers = {}, body = null, timeout } = {}) {
  const request = new Request(method.toUpperCase(), String(url));
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers);
  for (const [name, value] of pairs) request.header(name, value);
  if (body !== null) request.content(body);
  if (timeout !== undefined) request.timeout(timeout);
  return request.send();
}

export class Request {
  constructor(method, url) {
    this.method = method;
    this.url = String(url);
    this.headers = [];
    this.body = null;
    this.timeoutMs = null;
  }

  /** Adds a header. */
  header(name, value) {
    this.headers.push([name, String(value)]);
    return this;
  }

  /** Adds a parameter to the URL, escaped. */
  query(name, value) {
    this.url += `${this.url.includes("?") ? "&" : "?"}${segment(name)}=${segment(value)}`;
    return this;
  }

  /** Sets the body: bytes or a text. */
  content(body) {
    this.body = typeof body === "string" ? new TextEncoder().encode(body) : body;
    return this;
  }

  /** Sets the body to a value's JSON, and says so. */
  jsonContent(value) {
    return this.header("content-type", "application/json").content(JSON.stringify(value));
  }

  /** Seconds to wait for the whole response; the call's own deadline holds as well. */
  timeout(seconds) {
    this.timeoutMs = Math.max(1, Math.round(seconds * 1000));
    return this;
  }

  /** Sends it. Gives a response of any status, throws `HttpError` where there is none. */
  send() {
    if (!outside.host) return native.transport(this);
    const { method, url, headers, body, timeoutMs } = this;
    try {
      const answer = outside.host.http.send({ method, url, headers, body, timeoutMs });
      return new Response(answer.status, answer.body, answer.headers);
    } catch (error) {
      const why = payload(error);
      if (typeof why?.code !== "string") throw error;
      throw new HttpError(why.code, why.message);
    }
  }

  /** Sends it, refuses a status that is an error, and reads the JSON as a value of a type. */
  json(type = any()) {
    const accepts = ([name]) => name.toLowerCase() === "accept";
    if (!this.headers.some(accepts)) this.header("accept", "application/json");
    return this.send().throwForStatus().json(type);
  }
}

/** A response of any status. Names of headers are in small letters, their values bytes or text. */
export class Response {
  constructor(status, body = "", headers = []) {
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.body = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const text = (value) => (typeof value === "string" ? value : new TextDecoder().decode(value));
    this.headers = new Map(headers.map(([name, value]) => [name.toLowerCase(), text(value)]));
  }

  /** The body as text; what is no UTF-8 is replaced. */
  text() { return new TextDecoder().decode(this.body); }

  /** The body's JSON as a value of a type. An upstream may send more than one knows. */
  json(type = any()) {
    try {
      return read(type, JSON.parse(this.text()), "", false);
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof Mismatch)) throw error;
      throw ToolError.failed(
        `the upstream's answer is not what was expected: ${error.message}; ` +
          `it begins with ${JSON.stringify(this.#beginning())}`,
      );
    }
  }

  /** Itself, or the error that its status is to an agent. */
  throwForStatus() {
    if (this.status < 400) return this;
    const said = this.#beginning();
    const message = `the upstream answered with status ${this.status}`;
    throw new ToolError(codeOf(this.status), said ? `${message}: ${said}` : message, {
      retryAfter: this.retryAfter(),
    });
  }

  /** Seconds after which the upstream wants to be asked again, where it says so in seconds. */
  retryAfter() {
    const said = (this.headers.get("retry-after") ?? "").trim();
    // The contract has 32 bits for it.
    return /^[0-9]{1,10}$/.test(said) && Number(said) < 2 ** 32 ? Number(said) : null;
  }

  #beginning() { return new TextDecoder().decode(this.body.subarray(0, QUOTED)).trim(); }
}

function codeOf(status) {
  switch (status) {
    case 401: case 403: return "denied";
    case 404: case 410: return "not-found";
    case 429: return "rate-limited";
    case 408: return "unavailable";
    default: return status >= 500 ? "unavailable" : "failed";
  }
}

const native = {
  transport({ url }) {
    throw new HttpError("unreachable", `${url}: natively there is no network; see http.answering`);
  },
};

/** Runs `f` with a function from request to response in the network's place; for native tests. */
export const answering = (transport, f) => during(native, "transport", transport, f);
