// The official TypeScript SDK 1.11, which speaks 2025-03-26 and 2024-11-05: by command and over HTTP.

import assert from "node:assert/strict";

import { URL_, commands, load, requestInit, run } from "./expect.mjs";

const { Client } = await load("sdk-1-11/client/index.js");
const { StreamableHTTPClientTransport } = await load("sdk-1-11/client/streamableHttp.js");
const { StdioClientTransport } = await load("sdk-1-11/client/stdio.js");
const { LATEST_PROTOCOL_VERSION } = await load("sdk-1-11/types.js");

assert.equal(LATEST_PROTOCOL_VERSION, "2025-03-26");
const attempts = [];
const add = (door, transport) =>
  attempts.push({ door, era: LATEST_PROTOCOL_VERSION, transport, client: new Client({ name: "ts1", version: "1" }) });
for (const { door, ...command } of commands()) add(door, new StdioClientTransport(command));
if (URL_) add("http", new StreamableHTTPClientTransport(new URL(URL_), { requestInit }));
await run("ts-sdk-1.11", attempts);
