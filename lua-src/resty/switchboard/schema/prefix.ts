/** Path prefixes as they stand in `paths:` keys. */

/** The RFCs set no limit; longer ones would not fit nginx's default request line of 8 kB. */
const LONGEST_PREFIX = 4096;

/**
 * Why a text is no path prefix; undefined: it is one.
 *
 * A prefix is written as nginx's `$uri` has paths: decoded, without `//`, `.` and `..`, and without a slash at its
 * end. Anything else could never match, and is told instead of guessed.
 */
function problem_of_prefix(text: string): string | undefined {
  if (string.sub(text, 1, 1) !== "/" || text === "/") {
    return "a path prefix must begin with / and name at least one segment";
  }
  if (text.length > LONGEST_PREFIX) {
    return `a path prefix must have at most ${LONGEST_PREFIX} bytes`;
  }
  if (string.sub(text, -1) === "/") {
    return "a path prefix must not end with /";
  }
  if (string.find(text, "[%z\x01-\x1f\x7f?#]")[0] !== undefined) {
    return "a path prefix must have no control characters, ? or #";
  }
  if (string.find(text, "%%%x%x")[0] !== undefined) {
    return "a path prefix must be written decoded, without %XX";
  }
  const closed = `${text}/`;
  if (
    string.find(closed, "//", 1, true)[0] !== undefined ||
    string.find(closed, "/./", 1, true)[0] !== undefined ||
    string.find(closed, "/../", 1, true)[0] !== undefined
  ) {
    return "a path prefix must have no empty segments, . or ..";
  }
  return undefined;
}

export { problem_of_prefix };
