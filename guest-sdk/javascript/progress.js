/** Telling the agent how far a call is. It does not know whether anybody asked. */
import { outside } from "./outside.js";

const KEPT = 10_000;
let kept = [];

/**
 * Says that `done` of `total` is done. Each report must say more than the one before; the host drops
 * what comes faster than an agent can use.
 */
export function report(done, total = null, message = null) {
  if (outside.host) outside.host.progress.report(done, total, message);
  else if (kept.length < KEPT) kept.push({ done, total, message });
}

/** Takes what was reported so far; for native tests. */
export function recorded() {
  const said = kept;
  kept = [];
  return said;
}
