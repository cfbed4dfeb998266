/**
 * Points in time in the notations an old system mixes. It does not know the present.
 *
 * A text is read as `{ shown, sort }`: what it says in RFC 3339 (a time or only a date), or null, and
 * one of "clear", "no zone", "ambiguous", "unreadable".
 */
export const NOTHING = { shown: null, sort: "unreadable" };

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;
const RFC2822 =
  /^(?:[A-Z][a-z]{2}, )?(\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d)(?::(\d\d))? (GMT|UT|Z|[+-]\d{4})$/;
const ISO = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?$/;
const GERMAN = /^(\d\d)\.(\d\d)\.(\d{4})[T ](\d\d):(\d\d)$/;
const DATE = /^(\d{1,4})([-./])(\d{1,2})\2(\d{1,4})$/;

/** Reads a text. */
export function parse(text) {
  text = text.trim();
  if (/^[0-9]+$/.test(text)) return text.length < 19 ? unix(Number(text)) : NOTHING;
  let found;
  if ((found = RFC3339.exec(text))) {
    const [, year, month, day, hour, minute, second, fraction = "", zone] = found;
    const places = fraction.replace(/\.?0*$/, "");
    return time([year, month, day, hour, minute, second], "clear", places, zone.toUpperCase());
  }
  if ((found = RFC2822.exec(text))) {
    const [, day, month, year, hour, minute, second, said] = found;
    const zone = /^[+-]/.test(said) ? `${said.slice(0, 3)}:${said.slice(3)}` : "Z";
    return time([year, MONTHS.indexOf(month) + 1, day, hour, minute, second], "clear", "", zone);
  }
  if ((found = ISO.exec(text))) return time(found.slice(1), "no zone");
  if ((found = GERMAN.exec(text))) {
    const [, day, month, year, hour, minute] = found;
    return time([year, month, day, hour, minute], "no zone");
  }
  return date(text);
}

/** Seconds since 1970, or milliseconds where seconds would be after the year 5138. */
export function unix(number) {
  const seconds = number >= 100_000_000_000 ? Math.trunc(number / 1000) : number;
  const moment = new Date(seconds * 1000);
  const year = moment.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) return NOTHING;
  return { shown: moment.toISOString().replace(".000Z", "Z"), sort: "clear" };
}

function time([year, month, day, hour, minute, second], sort, fraction = "", zone = "Z") {
  const there = real(Number(year), Number(month), Number(day));
  const [h, m, s] = [hour, minute, second ?? 0].map(Number);
  if (there === null || h > 23 || m > 59 || s > 59) return NOTHING;
  const clock = [h, m, s].map((one) => pad(one, 2)).join(":");
  return { shown: `${there}T${clock}${fraction}${zone.slice(1) === "00:00" ? "Z" : zone}`, sort };
}

/** `2026-11-03`, `03.11.2026` or one with slashes. */
function date(text) {
  const found = DATE.exec(text);
  if (!found) return NOTHING;
  const separator = found[2];
  const [a, b, c] = [found[1], found[3], found[4]].map(Number);
  if (separator === "-" || (separator === "/" && a > 31)) return day(a, b, c);
  if (separator === "." || a > 12 || a === b) return day(c, b, a);
  return b > 12 ? day(c, a, b) : { shown: null, sort: "ambiguous" };
}

function day(year, month, number) {
  const shown = year >= 1970 && year <= 2200 ? real(year, month, number) : null;
  return shown === null ? NOTHING : { shown, sort: "clear" };
}

/** A day of the calendar as text, or null where there is none such. */
function real(year, month, day) {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const most = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  if (most === undefined || day < 1 || day > most) return null;
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
}

const pad = (number, width) => String(number).padStart(width, "0");
