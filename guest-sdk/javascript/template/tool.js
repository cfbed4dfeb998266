/** Counts what a model cannot count by looking: characters, words and lines of a text. */
import { ToolError, integer, nullable, object, optional, serve, string, tool } from "toolhost";

const counts = object({
  characters: integer("Characters: Unicode code points, line breaks included."),
  words: integer("Words: what stands between white space."),
  lines: integer("Lines; a line break at the end begins no new one."),
  occurrences: nullable(integer("How often the phrase occurs, where one was asked for.")),
});

export const count = tool(
  {
    name: "count",
    title: "Count text",
    description:
      "Counts the characters, words and lines of a text, and how often a phrase occurs in it. " +
      "Use it instead of counting yourself.",
    readOnly: true,
    idempotent: true,
    args: {
      text: string("The text."),
      phrase: optional(
        nullable(string("A phrase to find in it, in whichever case. Occurrences do not overlap.")),
      ),
    },
    result: counts,
  },
  ({ text, phrase = null }) => ({
    characters: [...text].length,
    words: text.split(/\s+/u).filter((word) => word !== "").length,
    lines: text.split("\n").length - (text === "" || text.endsWith("\n") ? 1 : 0),
    occurrences: phrase === null ? null : find(text, phrase),
  }),
);

function find(text, phrase) {
  if (phrase.trim() === "") {
    throw ToolError.invalidArguments(
      "phrase: give at least one character that is no space, or leave it out",
    );
  }
  return text.toLowerCase().split(phrase.toLowerCase()).length - 1;
}

export const tools = serve(count);
