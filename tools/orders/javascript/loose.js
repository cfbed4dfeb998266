/**
 * Values out of an object that keeps no promise about its fields. It knows what a field may look like
 * and writes a warning for what it cannot use; it does not know what the object is.
 */
import * as moments from "./moment.js";
import * as money from "./money.js";

// More items than any order has; the rest is left out with a warning.
const MOST_ITEMS = 200;

/** Reads fields of one object, each under any of several names. */
export class Reader {
  /** `within` stands before a field's name in a warning. */
  constructor(values, warnings, within = "") {
    Object.assign(this, { values, warnings, within });
  }

  /** The first of the names that has a value; an empty text is none. */
  find(names) {
    const values = names.map((name) => member(this.values, name));
    return values.find((one) => one !== null && !(typeof one === "string" && one.trim() === "")) ?? null;
  }

  findOrWarn(field, names) {
    const value = this.find(names);
    if (value === null) this.warn(field, "is missing");
    return value;
  }

  warn(field, what) { this.warnings.push(`\`${this.within}${field}\` ${what}`); }

  /** What was read, or a warning that a value that was there says nothing usable. */
  readable(field, value, read) {
    if (value !== null && read === null) {
      const shown = JSON.stringify(value);
      this.warn(field, `cannot be read: ${shown.length <= 60 ? shown : `${shown.slice(0, 60)}...`}`);
    }
    return read;
  }

  /** A text, or a number as text. */
  text(field, names) {
    const value = this.findOrWarn(field, names);
    return this.readable(field, value, asText(value));
  }

  /** The same where its absence is nothing to warn of. */
  optionalText(names) { return asText(this.find(names)); }

  /** A text, or the `name` (or else the `email`) of an object. */
  name(field, names) {
    const value = this.findOrWarn(field, names);
    const named = isObject(value) ? ["name", "full_name", "email"].map((name) => member(value, name)) : [value];
    return this.readable(field, value, named.map(asText).find((one) => one !== null) ?? null);
  }

  /** A whole number, also one written as text. */
  integer(field, names) {
    const value = this.findOrWarn(field, names);
    return this.readable(field, value, whole(value));
  }

  /** Yes or no in the ways there are; nothing where it is missing. */
  flag(names) {
    const value = this.find(names);
    if (typeof value === "boolean") return value;
    if (Number.isInteger(value)) return value !== 0;
    const word = typeof value === "string" ? value.trim().toLowerCase() : null;
    if (["true", "yes", "y", "1"].includes(word)) return true;
    return ["false", "no", "n", "0"].includes(word) ? false : null;
  }

  /** An amount of money, also one written as text or as the `amount` of an object. */
  money(field, names) {
    const value = this.findOrWarn(field, names);
    const amount = isObject(value) ? value.amount ?? value.value ?? null : value;
    const text = asText(amount);
    const cents = text === null ? null : money.parse(text);
    return this.readable(field, value, cents === null ? null : money.show(cents));
  }

  /** A currency of its own, or one that stands within an amount. */
  currency(names, amounts) {
    const amount = this.find(amounts);
    let code = asText(this.find(names));
    if (code === null && isObject(amount)) code = asText(member(amount, "currency"));
    else if (code === null && typeof amount === "string") code = currencyOf(amount);
    if (code === null) {
      this.warn("currency", "is missing");
      return null;
    }
    code = code.trim().toUpperCase();
    return this.readable("currency", code, /^[A-Z]{3}$/.test(code) ? code : null);
  }

  /** A point in time. */
  moment(field, names) { return this.#momentOf(field, this.findOrWarn(field, names)); }

  /** The same where its absence is nothing to warn of; the first name is the field's. */
  optionalMoment(names) { return this.#momentOf(names[0], this.find(names)); }

  #momentOf(field, value) {
    const number = typeof value === "number" ? whole(value) : null;
    const { shown, sort } = typeof value === "string" ? moments.parse(value)
      : number === null ? moments.NOTHING : moments.unix(number);
    if (sort === "ambiguous") {
      this.warn(field, `could be two dates: ${JSON.stringify(value)}`);
      return null;
    }
    if (sort === "no zone") this.warn(field, "has no time zone; taken as UTC");
    return this.readable(field, value, shown);
  }

  /** The objects of a list; what is no object is left out. */
  list(field, names, read) {
    const values = this.findOrWarn(field, names);
    if (!Array.isArray(values)) {
      this.readable(field, values, null);
      return [];
    }
    if (values.length > MOST_ITEMS) {
      this.warn(field, `has ${values.length} entries, the first ${MOST_ITEMS} are here`);
    }
    return values.slice(0, MOST_ITEMS).flatMap((value, index) => {
      if (isObject(value)) return [read(new Reader(value, this.warnings, `${field}[${index}].`))];
      this.warn(`${field}[${index}]`, `cannot be read: ${JSON.stringify(value).slice(0, 60)}`);
      return [];
    });
  }
}

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** A member of an object's own, or null. */
export const member = (object, name) => (Object.hasOwn(object, name) ? object[name] : null);

function asText(value) {
  if (typeof value === "string") return value.trim();
  return typeof value === "number" ? String(value) : null;
}

/** A whole number, also one written as `3.0` or as text. One that a number cannot hold is none. */
function whole(value) {
  const found = /^([+-]?[0-9]{1,19})(?:\.0*)?$/.exec(asText(value) ?? "");
  return found && Number.isSafeInteger(Number(found[1])) ? Number(found[1]) : null;
}

function currencyOf(amount) {
  const letters = amount.replace(/[^A-Za-z]/g, "");
  if (letters.length === 3) return letters;
  return amount.includes("€") ? "EUR" : amount.includes("£") ? "GBP" : null;
}
