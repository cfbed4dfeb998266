/** Amounts of money in whole cents. It does not know currencies. */

// Three digits behind a single separator could be thousands or places: that is not read.
const PLAIN = /^([0-9]+|[0-9]{1,3}(?:'[0-9]{3})+)$/;
const PLACES =
  /^([0-9]+|[0-9]{1,3}(?:'[0-9]{3})+|[0-9]{1,3}(?:,[0-9]{3})+(?=\.)|[0-9]{1,3}(?:\.[0-9]{3})+(?=,))[.,]([0-9]{1,2})$/;
const MOST = (1n << 63n) - 1n;

/**
 * Reads an amount: `12.5`, `12,50`, `1.234,56`, `1,234.56`, with or without a currency around it.
 * `null` where it is not clear.
 */
export function parse(text) {
  const number = text.replace(/^[\p{L}\s€$£¥]+|[\p{L}\s€$£¥]+$/gu, "");
  const digits = number.replace(/^-/, "");
  const [, whole, places = ""] = PLACES.exec(digits) ?? PLAIN.exec(digits) ?? [];
  if (whole === undefined) return null;
  const cents = BigInt(whole.replace(/[.,']/g, "").slice(0, 20)) * 100n + BigInt(places.padEnd(2, "0"));
  if (cents > MOST) return null;
  return number === digits ? cents : -cents;
}

/** An amount as a decimal number with two places. */
export function show(cents) {
  const size = cents < 0n ? -cents : cents;
  return `${cents < 0n ? "-" : ""}${size / 100n}.${String(size % 100n).padStart(2, "0")}`;
}
