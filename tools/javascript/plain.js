/** What came out of code, as JSON: values, and text that is bounded. It does not know how code is run. */

// Taken before any code could put others in their place.
const { isArray } = Array;
const { keys } = Object;
const { isFinite } = Number;

// Values within values, values, and characters of texts that a result may have.
const DEEPEST = 64;
export const MOST_VALUES = 100_000;
export const MOST_TEXT = 1 << 20;

/** A value as one that JSON can say; what it cannot becomes its `String`, with a note in `notes`. */
export function plain(value, notes) {
  const around = new Set();
  let values = 0;
  let characters = 0;

  function of(value, path) {
    values += 1;
    if (values > MOST_VALUES) return instead(path, "there are too many values", "...");
    switch (typeof value) {
      case "string": return bounded(value, path);
      case "boolean": return value;
      case "number": return isFinite(value) ? value : instead(path, `${value} is no number of JSON`, String(value));
      case "undefined": return null;
      case "object": return value === null ? null : nested(value, path);
      default: return instead(path, `JSON has no ${typeof value}`, shown(value));
    }
  }

  function nested(value, path) {
    if (around.has(value)) return instead(path, "it holds itself", "...");
    if (around.size === DEEPEST) return instead(path, "it is nested too deeply", "...");
    if (value instanceof Promise) {
      return instead(path, "JSON has no promise, and nothing runs after the last line", "[object Promise]");
    }
    if (value instanceof Error || value instanceof RegExp) return instead(path, "JSON has no such object", shown(value));
    around.add(value);
    try {
      if (typeof value.toJSON === "function") return of(value.toJSON(), path);
      if (value instanceof Map) {
        note(path, "a Map stands there as a list of pairs");
        return list(value, path);
      }
      if (value instanceof Set) {
        note(path, "a Set stands there as a list");
        return list(value, path);
      }
      if (isArray(value) || ArrayBuffer.isView(value)) return list(elements(value), path);
      const object = {};
      for (const key of keys(value)) {
        if (values > MOST_VALUES) break;
        // A member called `__proto__` is a member, and one that is undefined is none.
        const one = value[key];
        if (one === undefined) continue;
        const made = of(one, [path, key]);
        Object.defineProperty(object, bounded(key, path), { value: made, enumerable: true, writable: true, configurable: true });
      }
      return object;
    } catch (error) {
      return instead(path, `it could not be read: ${shown(error)}`, "...");
    } finally {
      around.delete(value);
    }
  }

  // One too many says so, and the others are not even looked at.
  function list(from, path) {
    const made = [];
    for (const one of from) {
      if (values > MOST_VALUES) break;
      made.push(of(one, [path, made.length]));
    }
    return made;
  }

  function instead(path, why, text) {
    note(path, `${why} (${text === "..." ? "... stands there" : "its text"})`);
    return bounded(text, path);
  }

  function bounded(text, path) {
    const room = MOST_TEXT - characters;
    if (text.length > room) {
      note(path, `its texts are longer than ${MOST_TEXT} characters (cut)`);
      text = text.slice(0, Math.max(room, 0));
    }
    characters += text.length;
    return text;
  }

  function note(path, text) {
    if (notes.length < 5) notes.push(`${named(path)}: ${text}`.slice(0, 300));
    else if (notes.length === 5) notes.push("and more like these");
  }

  return of(value, "result");
}

// A path is `result`, or a path and a step; most are never written down.
function named(path) {
  if (typeof path === "string") return path;
  const [before, step] = path;
  return named(before) + (typeof step === "number" ? `[${step}]` : `.${step}`);
}

// By index: one that has no iterator of its own, or another's, has elements all the same.
function* elements(list) {
  for (let at = 0; at < list.length; at += 1) yield list[at];
}

/** A text of anything, whatever its own methods do, and however large and deep it is. */
export function shown(value) {
  try {
    if (typeof value === "string") return value;
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    const holds = typeof value === "object" && value !== null && !(value instanceof RegExp);
    if (holds) return JSON.stringify(plain(value, []));
    return String(value).slice(0, 10_000);
  } catch {
    try {
      return String(value).slice(0, 10_000);
    } catch {
      return "something that has no text";
    }
  }
}

/** The first characters of what is written; the others are counted. */
export class Captured {
  #pieces = [];
  #room = MOST_TEXT;
  lost = 0;

  line(values) {
    values.forEach((value, at) => this.#write(at === 0 ? shown(value) : ` ${shown(value)}`));
    this.#write("\n");
  }

  #write(text) {
    const kept = text.slice(0, this.#room);
    this.#room -= kept.length;
    this.lost += text.length - kept.length;
    if (kept !== "") this.#pieces.push(kept);
  }

  text() {
    return this.#pieces.join("");
  }
}
