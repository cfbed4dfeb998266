/**
 * What the host gives, and what QuickJS lacks. Imported first, by the module that becomes the
 * component; natively nothing imports it, for only a component has these imports.
 */
import atomics from "wasi:keyvalue/atomics@0.2.0-draft2";
import batch from "wasi:keyvalue/batch@0.2.0-draft2";
import config from "wasi:config/store@0.2.0-rc.1";
import environment from "wasi:cli/environment@0.2.12";
import http from "toolhost:tool/http@0.1.0";
import logging from "wasi:logging/logging@0.1.0-draft";
import preopens from "wasi:filesystem/preopens@0.2.12";
import progress from "toolhost:tool/progress@0.1.0";
import source from "wasi:random/random@0.2.12";
import store from "wasi:keyvalue/store@0.2.0-draft2";
import * as log from "./log.js";
import { outside } from "./outside.js";
import { randomness } from "./random.js";
import { TextDecoder, TextEncoder } from "./text.js";

outside.host = { atomics, batch, config, environment, http, logging, preopens, progress, store };
outside.started = false;

const { random, crypto } = randomness((length) => {
  // While the component is built there is no host, and what is drawn would be part of it.
  if (!outside.started) {
    throw new Error("randomness at the top level of a module would be the same in every call; draw it in a function");
  }
  return Uint8Array.from(source.getRandomBytes(length));
});

const shown = (value) => {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}\n${value.stack ?? ""}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
};
const say = (level) => (...values) => log.write(level, "", values.map(shown).join(" "));

Math.random = random;
Object.assign(globalThis, {
  TextDecoder,
  TextEncoder,
  console: { debug: say("debug"), error: say("error"), info: say("info"), log: say("info"), warn: say("warn") },
  crypto,
});
