// The official TypeScript SDK 1.x: the older era by command and over HTTP.

import { URL_, commands, load, requestInit, run } from "./expect.mjs";

const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { StdioClientTransport } = await load("@modelcontextprotocol/sdk/client/stdio.js");

const attempts = [];
const add = (door, transport) =>
  attempts.push({ door, era: "legacy", transport, client: new Client({ name: "ts1", version: "1" }) });
for (const { door, ...command } of commands()) add(door, new StdioClientTransport(command));
if (URL_) add("http", new StreamableHTTPClientTransport(new URL(URL_), { requestInit }));
await run("ts-sdk-1", attempts);
