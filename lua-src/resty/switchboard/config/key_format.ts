/** The options that say how keys are spelled. */

import { Parsed, parse_text } from "./grammar";

function occurrences(text: string, word: string): number {
  let found = 0;
  let [at] = string.find(text, word, 1, true);
  while (at !== undefined) {
    found += 1;
    [at] = string.find(text, word, at + 1, true);
  }
  return found;
}

function parse_key_format(value: unknown): Parsed<string> {
  const [format] = parse_text(value);
  if (format === undefined || occurrences(format, "{kind}") !== 1 || occurrences(format, "{name}") !== 1) {
    return $multi(
      undefined,
      "must contain {kind} and {name} once each and no blanks, such as {kind}:{name} or sb:{kind}:{{name}}",
    );
  }
  return $multi(format, undefined);
}

function parse_key_prefix(value: unknown): Parsed<string> {
  const [prefix] = parse_text(value);
  if (prefix === undefined || occurrences(prefix, "{kind}") + occurrences(prefix, "{name}") > 0) {
    return $multi(undefined, "must be a text without blanks, {kind} and {name}, such as sb:");
  }
  return $multi(prefix, undefined);
}

export { parse_key_format, parse_key_prefix };
