// What every TypeScript client script asks of the host, and where it finds the host: see expect.py.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

export const { TOOLHOST_URL: URL_, TOOLHOST_TOKEN: TOKEN, TOOLHOST_SOCKET: SOCKET, TOOLHOST_STDIO: STDIO } = process.env;

const TEXT = "This is a simple text response for testing.";
const PATIENCE = 30_000;

// The packages live outside the checkout.
const require = createRequire(path.join(process.env.TOOLHOST_NODE_MODULES, "x.js"));
export const load = (name) => import(pathToFileURL(require.resolve(name)).href);

// Command lines whose standard streams are the host's lines.
export function commands() {
  const found = [];
  if (STDIO) {
    const [command, ...args] = STDIO.split(/\s+/);
    found.push({ door: "stdio", command, args });
  }
  if (SOCKET) {
    const bridge = path.join(import.meta.dirname, "unix_bridge.py");
    found.push({ door: "unix-lines", command: "python3", args: [bridge, SOCKET] });
  }
  return found;
}

export const requestInit = { headers: { Authorization: `Bearer ${TOKEN}` } };

// Lists the tools, calls two, and goes on after a message that is too large.
async function talk(client) {
  const { tools } = await client.listTools();
  const names = tools.map((tool) => tool.name);
  assert(names.includes("test_simple_text") && names.includes("test_add"), `tools/list gave ${names}`);
  const said = await client.callTool({ name: "test_simple_text", arguments: {} });
  assert.equal(said.content[0].text, TEXT);
  const added = await client.callTool({ name: "test_add", arguments: { a: 2, b: 3 } });
  assert.deepEqual(added.structuredContent, { sum: 5 });
  // A message that is too large costs that call, and not the session.
  const large = client.callTool({ name: "test_add", arguments: { a: 2, b: "x".repeat(5 << 20) } });
  await assert.rejects(large, /4194304 bytes|413/);
  const again = await client.callTool({ name: "test_add", arguments: { a: 2, b: 3 } });
  assert.deepEqual(again.structuredContent, { sum: 5 });
}

// Runs attempts { door, era, client, transport } one after the other; the first failure ends it.
export async function run(name, attempts) {
  for (const { door, era, client, transport } of attempts) {
    const late = setTimeout(() => {
      console.error(`not ok ${name} ${door} ${era}: no end after ${PATIENCE} ms`);
      process.exit(1);
    }, PATIENCE);
    try {
      await client.connect(transport);
      await talk(client);
      await client.close();
    } catch (error) {
      console.error(`not ok ${name} ${door} ${era}: ${String(error).slice(0, 500)}`);
      process.exit(1);
    }
    clearTimeout(late);
    console.log(`ok ${name} ${door} ${era}`);
  }
  process.exit(0);
}
