/**
 * Types in the plainest form there is: a type is its JSON Schema. These functions write the common
 * ones; any other schema is a type as well. `read` checks a value against what they write; it does
 * not know functions.
 */
const OPTIONAL = Symbol("optional");

const typed = (type) => (description, keywords) => with_({ type }, description, keywords);

/** A text. All of these take a description and further keywords of JSON Schema. */
export const string = typed("string");
/** A whole number. */
export const integer = typed("integer");
/** A number. */
export const number = typed("number");
/** True or false. */
export const boolean = typed("boolean");

/** Anything that JSON can say. */
export const any = (description, keywords) => with_({}, description, keywords);

/** One of these values. */
export function oneOf(choices, description, keywords) {
  const kinds = new Set(choices.map((choice) => typeof choice));
  const [kind] = kinds;
  const type = kinds.size === 1 && (kind === "string" || kind === "boolean") ? { type: kind } : {};
  return with_({ ...type, enum: choices }, description, keywords);
}

/** A list. */
export const array = (items, description, keywords) =>
  with_({ type: "array", items }, description, keywords);

/** An object whose members all have one type. */
export const record = (values, description, keywords) =>
  with_({ type: "object", additionalProperties: values }, description, keywords);

/** An object with these members. Those that are not `optional` are required. */
export function object(members, description, keywords) {
  const required = Object.keys(members).filter((name) => !members[name][OPTIONAL]);
  const schema = { type: "object", properties: members };
  if (required.length > 0) schema.required = required;
  return with_(schema, description, keywords);
}

/** A member that may be left out. */
export const optional = (type) => ({ ...type, [OPTIONAL]: true });

/** A value, or null. */
export function nullable(type) {
  const { type: kind, description, ...rest } = type;
  if (typeof kind === "string" && !rest.enum) return { ...type, type: [kind, "null"] };
  return with_({ anyOf: [{ type: kind, ...rest }, { type: "null" }] }, description);
}

/** A value of one of these types. */
export const anyOf = (types, description, keywords) => with_({ anyOf: types }, description, keywords);

function with_(schema, description, keywords) {
  if (description !== undefined) schema.description = description;
  return Object.assign(schema, keywords);
}

/** A value that is not of its type, and where. */
export class Mismatch extends Error {
  constructor(path, problem) {
    super(`${path || "the value"}: ${problem}`);
    this.path = path;
  }
}

/**
 * Checks a value against a type and gives it with the defaults filled in. `strict` refuses members
 * that an object should not have; an upstream's answer may have more than one knows.
 *
 * Further keywords are the host's to check, which has seen every argument before the tool does.
 */
export function read(type, value, path = "", strict = true) {
  if (type.anyOf) return readAny(type.anyOf, value, path, strict);
  if (type.enum && !type.enum.includes(value)) {
    const choices = type.enum.map((one) => JSON.stringify(one)).join(", ");
    throw new Mismatch(path, `expected one of ${choices}, got ${shown(value)}`);
  }
  const kinds = type.type === undefined ? [] : [type.type].flat();
  if (kinds.length > 0 && !kinds.some((kind) => is(kind, value))) {
    throw new Mismatch(path, `expected ${kinds.map((kind) => WORDS[kind]).join(" or ")}, got ${shown(value)}`);
  }
  if (Array.isArray(value)) {
    return type.items ? value.map((one, at) => read(type.items, one, `${path}[${at}]`, strict)) : value;
  }
  if (is("object", value)) return readObject(type, value, path, strict);
  return value;
}

function readAny(types, value, path, strict) {
  let deepest;
  for (const type of types) {
    try {
      return read(type, value, path, strict);
    } catch (mismatch) {
      if (!(mismatch instanceof Mismatch)) throw mismatch;
      if (!deepest || mismatch.path.length > deepest.path.length) deepest = mismatch;
    }
  }
  // The one that came furthest says the most.
  if (deepest && deepest.path.length > path.length) throw deepest;
  throw new Mismatch(path, `no shape that is expected here fits ${shown(value)}`);
}

function readObject({ properties, required = [], additionalProperties: others }, value, path, strict) {
  const at = (name) => (path ? `${path}.${name}` : name);
  for (const name of required) {
    if (!Object.hasOwn(value, name)) throw new Mismatch(at(name), "is missing");
  }
  const result = {};
  for (const [name, one] of Object.entries(value)) {
    const type = properties && Object.hasOwn(properties, name) ? properties[name] : others;
    if (type === false || (type === undefined && properties && strict)) {
      const known = Object.keys(properties ?? {}).join(", ") || "none";
      throw new Mismatch(at(name), `is not known; there are: ${known}`);
    }
    put(result, name, typeof type === "object" ? read(type, one, at(name), strict) : one);
  }
  for (const [name, type] of Object.entries(properties ?? {})) {
    if (!Object.hasOwn(value, name) && type.default !== undefined) put(result, name, type.default);
  }
  return result;
}

// A member called `__proto__` is a member.
function put(object, name, value) {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
}

const WORDS = {
  string: "a text", integer: "a whole number", number: "a number", boolean: "true or false",
  array: "a list", object: "an object", null: "null",
};

function is(kind, value) {
  switch (kind) {
    case "integer": return Number.isInteger(value);
    case "array": return Array.isArray(value);
    case "null": return value === null;
    case "object": return typeof value === "object" && value !== null && !Array.isArray(value);
    default: return typeof value === kind;
  }
}

function shown(value) {
  if (Array.isArray(value)) return "a list";
  if (is("object", value)) return "an object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
