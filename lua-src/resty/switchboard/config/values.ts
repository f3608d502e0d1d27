/** Values of options that are neither plain nor lists of addresses. */

import { Parsed, parse_list, parse_text } from "./grammar";
import { parse_redis_url } from "./redis_url";

function parse_url(value: unknown): Parsed<unknown> {
  const must =
    "must be redis://[user:password@]host[:port][,host…][/db], redis+sentinel://host[:port][,host…]/master[/db], the same with rediss, or unix:/path";
  if (type(value) !== "string") {
    return $multi(undefined, must);
  }
  const [target, err] = parse_redis_url(value as string);
  if (target !== undefined) {
    return $multi(target, undefined);
  }
  return $multi(undefined, `${must}: ${err}`);
}

function parse_path(value: unknown): Parsed<string> {
  const [path] = parse_text(value);
  if (path === undefined || string.find(path, "^/.*[^/]$")[0] === undefined) {
    return $multi(undefined, "must be the path of a file, from / on and without blanks");
  }
  return $multi(path, undefined);
}

function parse_secret(value: unknown): Parsed<string> {
  if (value === "") {
    return $multi("", undefined);
  }
  return parse_text(value);
}

/** Percent, with or without the sign. */
function parse_share(value: unknown): Parsed<number> {
  const [digits] = string.match(tostring(value), "^(%d+)%%?$");
  const share = tonumber(digits);
  if (share === undefined || share < 1 || share > 100) {
    return $multi(undefined, "must be a share from 1% to 100%");
  }
  return $multi(share / 100, undefined);
}

const SCHEMAS = ["native", "hipache", "planb", "dinp"];

/** Redis layouts, each once. */
function parse_schemas(value: unknown, least: number): Parsed<string[]> {
  const [words] = parse_list(value);
  const seen = new LuaSet<string>();
  for (const word of words ?? []) {
    let known = false;
    for (const one of SCHEMAS) {
      known = known || (one === word && !seen.has(word));
    }
    seen.add(known ? word : "");
  }
  if (words === undefined || words.length < least || seen.has("")) {
    return $multi(
      undefined,
      `must be a comma-separated list of ${table.concat(SCHEMAS, ", ")}, each at most once`,
    );
  }
  return $multi(words, undefined);
}

export { parse_path, parse_schemas, parse_secret, parse_share, parse_url };
