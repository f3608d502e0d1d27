/**
 * The one place that writes to the error log. Each message at most once in a while, however often its cause
 * comes up: an attacker or a broken platform must not fill the disk.
 */

/** Seconds for which an equal message is only counted. */
const QUIET = 10;
/** Different messages that are remembered; then all are forgotten. */
const MOST_REMEMBERED = 1000;
/** Bytes of a foreign value that are shown. */
const LONGEST_SHOWN = 120;

interface Told {
  at: number;
  suppressed: number;
}

let told = new LuaTable<string, Told>();
let remembered = 0;

/** Foreign bytes made fit for a log line: no control bytes, no quotes, bounded. */
function printable(value: string): string {
  const short = value.length > LONGEST_SHOWN ? `${string.sub(value, 1, LONGEST_SHOWN)}…` : value;
  const [clean] = string.gsub(short, '[%c"\\]', "?");
  return clean;
}

/** Whether a message of this key is due; `suppressed` messages of it were left out since the last. */
function due(key: string): LuaMultiReturn<[boolean, number]> {
  const now = ngx.now();
  const last = told.get(key);
  if (last !== undefined) {
    if (now - last.at < QUIET) {
      last.suppressed += 1;
      return $multi(false, 0);
    }
    const suppressed = last.suppressed;
    last.at = now;
    last.suppressed = 0;
    return $multi(true, suppressed);
  }
  if (remembered >= MOST_REMEMBERED) {
    told = new LuaTable();
    remembered = 0;
  }
  told.set(key, { at: now, suppressed: 0 });
  remembered += 1;
  return $multi(true, 0);
}

/**
 * Writes one line, unless an equal key wrote one within the last 10 s.
 *
 * @param level ngx.ERR, ngx.WARN, …
 * @param key what makes two messages the same
 */
function tell(level: number, key: string, message: string): void {
  const [is_due, suppressed] = due(key);
  if (is_due) {
    const more = suppressed > 0 ? ` (${suppressed} more of these in between)` : "";
    ngx.log(level, "[switchboard] ", message, more);
  }
}

export { printable, tell };
