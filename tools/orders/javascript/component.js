import "toolhost/host"; // first: what the host gives, and what QuickJS lacks
export { tools } from "./tool.js";
