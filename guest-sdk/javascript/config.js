/**
 * Values that the manifest sets for this tool, by key, and its environment. They do not change while a
 * call runs, and they are never credentials.
 */
import { during, outside } from "./outside.js";

const native = { values: {} };

/** The value of a key, or `otherwise` where the manifest sets none. */
export function get(key, otherwise = null) {
  const value = outside.host ? outside.host.config.get(key) : native.values[key];
  return value ?? otherwise;
}

/** Every key and its value. */
export function all() {
  return outside.host ? Object.fromEntries(outside.host.config.getAll()) : { ...native.values };
}

/** Runs `f` with these values and no others; for native tests. */
export const withValues = (values, f) => during(native, "values", values, f);

/** A variable of the environment, or `otherwise` where the manifest sets none. */
export function env(name, otherwise = null) {
  if (!outside.host) return globalThis.process?.env[name] ?? otherwise;
  const found = outside.host.environment.getEnvironment().find(([own]) => own === name);
  return found ? found[1] : otherwise;
}
