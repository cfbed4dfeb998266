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
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`the result has no JSON form: ${typeof value}`);
    this.structured = text.startsWith("{") ? text : `{"result":${text}}`;
    return this;
  }

  /** Adds text. */
  text(text) {
    this.contents.push({ tag: "text", val: String(text) });
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
