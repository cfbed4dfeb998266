/**
 * Files in the directories that the manifest grants, by the paths that it gives them. It does not
 * know what may be read or written; the host does.
 */
import { ToolError } from "./error.js";
import { during, outside, payload } from "./outside.js";

// So much is read or written at once.
const PIECE = 1 << 16;
const CODES = { "no-entry": "not-found", access: "denied", "not-permitted": "denied", "read-only": "denied" };

/** Reads a file as bytes. */
export function read(path) {
  return within(path, (directory, name) => {
    const file = directory.openAt({ symlinkFollow: true }, name, {}, { read: true });
    const pieces = [];
    for (let at = 0; ; ) {
      const [piece, end] = file.read(PIECE, at);
      pieces.push(piece);
      at += piece.length;
      if (end || piece.length === 0) return joined(pieces, at);
    }
  });
}

/** Reads a file as text; what is no UTF-8 is replaced. */
export const readText = (path) => new TextDecoder().decode(read(path));

/** Writes bytes or a text to a file, in the place of what it had. */
export function write(path, content) {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  within(path, (directory, name) => {
    const file = directory.openAt({ symlinkFollow: true }, name, { create: true, truncate: true }, { write: true });
    for (let at = 0; at < bytes.length; ) at += file.write(bytes.subarray(at, at + PIECE), at);
  });
}

/** The names in a directory, sorted. Directories that are granted are in `/`. */
export function list(path) {
  return within(path, (directory, name) => {
    const opened = name === "." ? directory
      : directory.openAt({ symlinkFollow: true }, name, { directory: true }, { read: true });
    const names = [];
    const entries = opened.readDirectory();
    for (let entry; (entry = entries.readDirectoryEntry()); ) names.push(entry.name);
    return names.sort();
  });
}

/** Whether there is something at a path. */
export function exists(path) {
  try {
    within(path, (directory, name) => directory.statAt({ symlinkFollow: true }, name));
    return true;
  } catch (error) {
    if (error.code === "not-found") return false;
    throw error;
  }
}

/** Deletes a file. */
export const remove = (path) => within(path, (directory, name) => directory.unlinkFileAt(name));

/** Makes a directory. */
export const makeDirectory = (path) => within(path, (directory, name) => directory.createDirectoryAt(name));

/** Finds the granted directory that a path lies in, and does something with it. */
function within(path, f) {
  const whole = `/${path.split("/").filter((part) => part !== "" && part !== ".").join("/")}`;
  let best = null;
  for (const [directory, given] of outside.host ? outside.host.preopens.getDirectories() : native.directories) {
    // Where relative paths begin.
    const name = given === "." ? "/" : given;
    const inside = whole === name || whole.startsWith(name.endsWith("/") ? name : `${name}/`);
    if (inside && (!best || name.length > best.name.length)) best = { directory, name };
  }
  if (!best) throw ToolError.notFound(`${path}: no directory that is granted has this path`);
  try {
    return f(best.directory, whole.slice(best.name.length).replace(/^\//, "") || ".");
  } catch (error) {
    const why = payload(error);
    // A code of the host's comes as the error's own message.
    const code = typeof why === "string" ? why : why?.message;
    throw new ToolError(CODES[code] ?? "failed", `${path}: ${code}`);
  }
}

function joined(pieces, length) {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

// Natively: one flat directory in memory, as much of the host's interface as is used above.

const native = { directories: [] };

/** Runs `f` with these texts by path, all in one directory; for native tests. */
export function withFiles(root, texts, f) {
  const kept = new Map(Object.entries(texts).map(([name, text]) => [name, new TextEncoder().encode(text)]));
  const there = (name) => {
    if (name !== "." && !kept.has(name)) throw "no-entry";
  };
  const directory = {
    openAt(_, name, { create }) {
      if (create) kept.set(name, new Uint8Array());
      there(name);
      return {
        read: (length, at) => [kept.get(name).subarray(at, at + length), at + length >= kept.get(name).length],
        write(bytes, at) {
          kept.set(name, joined([kept.get(name).subarray(0, at), bytes], at + bytes.length));
          return bytes.length;
        },
      };
    },
    readDirectory() {
      const names = [...kept.keys()];
      return { readDirectoryEntry: () => (names.length > 0 ? { name: names.shift() } : null) };
    },
    statAt: (_, name) => there(name),
    unlinkFileAt(name) {
      there(name);
      kept.delete(name);
    },
    createDirectoryAt() {},
  };
  return during(native, "directories", [[directory, root]], f);
}
