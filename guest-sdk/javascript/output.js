/** What a function gives back. It does not know how the host shows it. */

/** A result of several pieces: `output().text("The chart.").blob("image/png", bytes)`. */
export const output = () => new Output();

export class Output {
  constructor() {
    this.structured = null;
    this.contents = [];
  }

  /** Sets the structured result. What is no object goes into one, as its `result`. */
  json(value) {
    const text = jsonText(value);
    if (text === undefined) throw new TypeError(`the result has no JSON form: ${typeof value}`);
    this.structured = text.startsWith("{") ? text : `{"result":${text}}`;
    return this;
  }

  /** Adds text. */
  text(text) {
    this.contents.push({ tag: "text", val: String(text).toWellFormed() });
    return this;
  }

  /**
   * Adds bytes: image types and audio types reach the agent as such, anything else as an embedded
   * resource, whose name is `uri`.
   */
  blob(mimeType, data, uri = null) {
    this.contents.push({ tag: "blob", val: { mimeType, data, uri } });
    return this;
  }

  /** Adds a pointer to something the agent may fetch by itself. */
  link(uri, name, { description = null, mimeType = null } = {}) {
    this.contents.push({ tag: "link", val: { uri, name, description, mimeType } });
    return this;
  }
}

/** Makes what a function returned what the host takes; `typed` says that it has a schema. */
export function ofValue(value, typed) {
  if (value instanceof Output) return value;
  if (typed) return new Output().json(value);
  if (value === undefined || value === null) return new Output();
  return typeof value === "string" ? new Output().text(value) : new Output().json(value);
}

/**
 * JSON text of a value, or nothing where it has none. Half of a surrogate pair is no character: JSON
 * may only say it by an escape that others do not take, so U+FFFD stands in its place.
 */
export function jsonText(value) {
  const text = JSON.stringify(value);
  // An escape is taken as a whole: a backslash that is escaped itself begins no other.
  return text?.replace(/\\(?:ud[89a-f][0-9a-f]{2}|.)/g, (escape) => (escape.length > 2 ? "\ufffd" : escape));
}
