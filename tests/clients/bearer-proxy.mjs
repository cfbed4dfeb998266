// A loopback proxy that adds a bearer token to every request and changes nothing else: the
// conformance suite cannot send one, and the host's door stays as it is.
//
//   TOOLHOST_URL=http://127.0.0.1:7420/mcp TOOLHOST_TOKEN=... node bearer-proxy.mjs
//
// Prints its own URL on the first line and serves until its standard input ends.

import http from "node:http";

const upstream = new URL(process.env.TOOLHOST_URL);
const token = process.env.TOOLHOST_TOKEN;

const server = http.createServer((request, response) => {
  const forwarded = http.request({
    host: upstream.hostname,
    port: upstream.port,
    method: request.method,
    path: request.url,
    // As they came, in order: the suite sends foreign Host and Origin headers on purpose.
    headers: [...request.rawHeaders, "Authorization", `Bearer ${token}`],
    setHost: false,
  });
  forwarded.on("response", (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    response.flushHeaders();
    answer.pipe(response);
  });
  forwarded.on("error", () => response.destroy());
  // A client that goes away takes its call back: the host must see it.
  response.on("close", () => forwarded.destroy());
  request.pipe(forwarded);
});

server.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}${upstream.pathname}`);
});
process.stdin.on("end", () => process.exit(0)).resume();
