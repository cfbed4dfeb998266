/**
 * Keys and values that outlive the call, in buckets that the manifest grants.
 *
 * A bucket has a quota; where the manifest says so, every caller has one of its own. Calls run at the
 * same time: what depends on what was read belongs into `update` or `increment`.
 */
import { ToolError } from "./error.js";
import { during, outside, payload } from "./outside.js";
import { Mismatch, any, read } from "./types.js";

// An update that lost this often is against something that never rests.
const TRIES = 100;

/** Why a bucket did not do what was asked; `reason` is `no-such-store`, `denied` or `other`. */
export class KvError extends ToolError {
  constructor(reason, message) {
    super(reason === "other" ? "failed" : "denied", message);
    this.reason = reason;
  }
}

/** Opens a bucket. */
export function open(name) {
  return outside.host ? new Bucket(told(() => outside.host.store.open(name)), outside.host) : memory(name);
}

/** Keys and values. Keys are texts, values are bytes. */
class Bucket {
  #inner;
  #host;

  constructor(inner, host) {
    this.#inner = inner;
    this.#host = host;
  }

  /** The value of a key as bytes, or null. */
  get(key) { return told(() => this.#inner.get(key)) ?? null; }

  /** The value of a key as text, or null. */
  getText(key) {
    const value = this.get(key);
    try {
      return value && new TextDecoder("utf-8", { fatal: true }).decode(value);
    } catch {
      throw new KvError("other", `the value of ${JSON.stringify(key)} is no text`);
    }
  }

  /** The value of a key out of its JSON, as a value of a type, or null. */
  getJson(key, type = any()) {
    const text = this.getText(key);
    try {
      return text === null ? null : read(type, JSON.parse(text), "", false);
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof Mismatch)) throw error;
      throw new KvError("other", `the value of ${JSON.stringify(key)}: ${error.message}`);
    }
  }

  /** Sets a key to bytes or a text. */
  set(key, value) { told(() => this.#inner.set(key, bytes(value))); }

  /** Sets a key to a value's JSON. */
  setJson(key, value) { this.set(key, JSON.stringify(value)); }

  /** Forgets a key. */
  delete(key) { told(() => this.#inner.delete(key)); }

  /** Whether a key has a value. */
  exists(key) { return told(() => this.#inner.exists(key)); }

  /** All keys. */
  keys() {
    const found = [];
    let cursor = null;
    do {
      const page = told(() => this.#inner.listKeys(cursor));
      found.push(...page.keys);
      cursor = page.cursor ?? null;
    } while (cursor !== null);
    return found;
  }

  /** Adds to a number, atomically; gives the new one. */
  increment(key, delta = 1) { return told(() => this.#host.atomics.increment(this.#inner, key, delta)); }

  /**
   * Sets a key to what `change` makes of its value, and does so again where somebody else was faster.
   * `change` gets bytes or null.
   */
  update(key, change) {
    const { atomics } = this.#host;
    let seen = told(() => atomics.Cas.new(this.#inner, key));
    for (let tries = 0; tries < TRIES; tries += 1) {
      const value = bytes(change(told(() => seen.current()) ?? null));
      try {
        atomics.swap(seen, value);
        return value;
      } catch (error) {
        const why = payload(error);
        if (why.tag !== "cas-failed") throw why.tag === "store-error" ? ofHost(why.val) : error;
        seen = why.val;
      }
    }
    throw new KvError("other", `${JSON.stringify(key)} changes too often`);
  }

  /** The values of several keys, in their order; null for one that has none. */
  getMany(keys) {
    const pairs = told(() => this.#host.batch.getMany(this.#inner, keys));
    return pairs.map((pair) => (pair ? pair[1] : null));
  }

  /** Sets several keys, from an object. */
  setMany(values) {
    const pairs = Object.entries(values).map(([key, value]) => [key, bytes(value)]);
    told(() => this.#host.batch.setMany(this.#inner, pairs));
  }

  /** Forgets several keys. */
  deleteMany(keys) { told(() => this.#host.batch.deleteMany(this.#inner, keys)); }
}

const bytes = (value) => (typeof value === "string" ? new TextEncoder().encode(value) : value);

function told(f) {
  try {
    return f();
  } catch (error) {
    throw ofHost(payload(error), error);
  }
}

function ofHost(why, otherwise) {
  if (why?.tag === "no-such-store") return noSuchStore();
  if (why?.tag === "access-denied") return new KvError("denied", "this bucket may not be used");
  if (why?.tag === "other") return new KvError("other", why.val);
  return otherwise ?? why;
}

const noSuchStore = () => new KvError("no-such-store", "no bucket of this name is granted");

// Natively: buckets in memory, behind the same interface as the host's.

const native = { buckets: new Map() };

function memory(name) {
  const values = native.buckets.get(name);
  if (!values) throw noSuchStore();
  const inner = {
    get: (key) => values.get(key) ?? null,
    set: (key, value) => void values.set(key, value),
    delete: (key) => void values.delete(key),
    exists: (key) => values.has(key),
    listKeys: () => ({ keys: [...values.keys()].sort(), cursor: null }),
  };
  const atomics = {
    increment(_, key, delta) {
      const total = Number(new TextDecoder().decode(values.get(key) ?? bytes("0"))) + delta;
      if (!Number.isSafeInteger(total)) throw { tag: "other", val: `the value of ${key} is no number` };
      values.set(key, bytes(String(total)));
      return total;
    },
    Cas: { new: (_, key) => ({ key, seen: values.get(key) ?? null, current() { return this.seen; } }) },
    swap({ key, seen }, value) {
      if ((values.get(key) ?? null) !== seen) throw { tag: "cas-failed", val: atomics.Cas.new(null, key) };
      values.set(key, value);
    },
  };
  const batch = {
    getMany: (_, keys) => keys.map((key) => (values.has(key) ? [key, values.get(key)] : null)),
    setMany: (_, pairs) => pairs.forEach(([key, value]) => values.set(key, value)),
    deleteMany: (_, keys) => keys.forEach((key) => values.delete(key)),
  };
  return new Bucket(inner, { atomics, batch });
}

/** Runs `f` with these buckets, empty, and no others; for native tests. */
export const withBuckets = (names, f) =>
  during(native, "buckets", new Map(names.map((name) => [name, new Map()])), f);
