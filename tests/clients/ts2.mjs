// The official TypeScript client 2.x: both eras by command and over HTTP.

import { URL_, commands, load, requestInit, run } from "./expect.mjs";

const { Client, StreamableHTTPClientTransport } = await load("@modelcontextprotocol/client");
const { StdioClientTransport } = await load("@modelcontextprotocol/client/stdio");

const eras = { legacy: {}, modern: { versionNegotiation: { mode: "auto" } } };
const attempts = [];
for (const [era, options] of Object.entries(eras)) {
  const add = (door, transport) =>
    attempts.push({ door, era, transport, client: new Client({ name: "ts2", version: "1" }, options) });
  for (const { door, ...command } of commands()) add(door, new StdioClientTransport(command));
  if (URL_) add("http", new StreamableHTTPClientTransport(new URL(URL_), { requestInit }));
}
await run("ts-client-2", attempts);
