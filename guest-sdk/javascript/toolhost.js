/**
 * Tools for AI agents as plain JavaScript functions; `toolhost` runs them as components.
 *
 *     import { serve, string, tool } from "toolhost";
 *
 *     export const greet = tool(
 *       { name: "greet", description: "Greets somebody by name.", args: { name: string() } },
 *       ({ name }) => `Hello, ${name}!`,
 *     );
 *     export const tools = serve(greet);
 */
export * as config from "./config.js";
export { env } from "./config.js";
export { ToolError } from "./error.js";
export * as files from "./files.js";
export { serve, tool } from "./function.js";
export * as http from "./http.js";
export { fetch } from "./http.js";
export * as kv from "./kv.js";
export * as log from "./log.js";
export { output } from "./output.js";
export * as progress from "./progress.js";
export {
  any, anyOf, array, boolean, integer, nullable, number, object, oneOf, optional, record, string,
} from "./types.js";
