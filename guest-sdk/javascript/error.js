/**
 * Why a call did not do what was asked, in the codes that agents act on. It does not know how an
 * error travels to the agent.
 */
const CODES = [
  "invalid-arguments", "not-found", "denied", "rate-limited", "unavailable", "needs-human", "failed",
];

/**
 * Why a call did not do what was asked, as the agent will read it. The message is a sentence that says
 * what happened and what to do next; `retryAfter` are seconds after which the same call is worth
 * another try, `data` is more for a program to read.
 */
export class ToolError extends Error {
  constructor(code, message, { retryAfter = null, data = null } = {}) {
    super(String(message));
    if (!CODES.includes(code)) throw new TypeError(`${code} is no code; there are ${CODES.join(", ")}`);
    this.name = "ToolError";
    this.code = code;
    this.retryAfter = retryAfter;
    this.data = data;
  }

  /** The agent should change its arguments. */
  static invalidArguments(message, more) { return new ToolError("invalid-arguments", message, more); }
  /** What the arguments name does not exist. */
  static notFound(message, more) { return new ToolError("not-found", message, more); }
  /** Refused; asking again will not help. */
  static denied(message, more) { return new ToolError("denied", message, more); }
  /** Too many calls. */
  static rateLimited(message, more) { return new ToolError("rate-limited", message, more); }
  /** The upstream does not answer now. */
  static unavailable(message, more) { return new ToolError("unavailable", message, more); }
  /** A person has to do or allow something first. */
  static needsHuman(message, more) { return new ToolError("needs-human", message, more); }
  /** Anything else. */
  static failed(message, more) { return new ToolError("failed", message, more); }
}

/** What an agent reads of something that a function threw. */
export function ofThrown(thrown) {
  if (thrown instanceof ToolError) return thrown;
  return ToolError.failed(named(thrown));
}

/** Something thrown, in a line. */
export function named(thrown) {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : `thrown: ${String(thrown)}`;
  } catch {
    return "thrown: something that has no text";
  }
}
