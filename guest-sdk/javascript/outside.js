/**
 * What the host gives, put here by `host.js` within a component. Natively it stays empty, and each
 * power has a stand-in for tests instead. It does not know what the powers are.
 */
export const outside = { host: null };

/** What an import threw: its error's payload where it has one, else the error. */
export function payload(error) {
  return error?.payload ?? error;
}

/** Runs `f` with `value` in `place[key]`, and puts back what was there, also when `f` throws. */
export function during(place, key, value, f) {
  const before = place[key];
  place[key] = value;
  try {
    return f();
  } finally {
    place[key] = before;
  }
}
