/**
 * The one place that writes to the error log. Each message at most once in a while, however often its cause
 * comes up: an attacker or a broken platform must not fill the disk.
 */

/** Seconds for which an equal message is only counted. */
const QUIET = 10;
/** Lines of one event within that time. */
const MOST_LINES = 100;
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

const SPACE = 32;
const QUOTE = 34;
const BACKSLASH = 92;
const DELETE = 127;

/** Whether it is fit already, as names are. Unlike a search for a pattern this is compiled. */
function is_printable(value: string): boolean {
  for (const i of $range(1, value.length)) {
    const byte = string.byte(value, i);
    if (byte < SPACE || byte === QUOTE || byte === BACKSLASH || byte === DELETE) {
      return false;
    }
  }
  return true;
}

/** Foreign bytes made fit for a log line: no control bytes, no quotes, bounded. */
function printable(value: string): string {
  if (value.length <= LONGEST_SHOWN && is_printable(value)) {
    return value;
  }
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

/** Lines of one event since `at`. */
interface Spent {
  at: number;
  lines: number;
  left_out: number;
}

const spent = new LuaTable<string, Spent>();

/** Whether an event may have one more line, whatever it is about; `left_out` lines of it were not written before. */
function may_spend(event: string): LuaMultiReturn<[boolean, number]> {
  const now = ngx.now();
  const known = spent.get(event) as Spent | undefined;
  if (known === undefined || now - known.at >= QUIET) {
    spent.set(event, { at: now, lines: 1, left_out: 0 });
    return $multi(true, known !== undefined ? known.left_out : 0);
  }
  if (known.lines >= MOST_LINES) {
    known.left_out += 1;
    return $multi(false, 0);
  }
  known.lines += 1;
  return $multi(true, 0);
}

/**
 * Writes one line of an event, unless it had 100 within the last 10 s.
 *
 * @param subject what it is about; may be empty
 * @param suppressed equal messages that were left out
 */
function say(level: number, event: string, subject: string, suppressed: number, message: string): void {
  const [may, left_out] = may_spend(event);
  if (!may) {
    return;
  }
  const left = suppressed + left_out;
  const about = subject !== "" ? ` about="${printable(subject)}"` : "";
  const more = left > 0 ? string.format(" suppressed=%d", left) : "";
  const [one_line] = string.gsub(message, "%c", "?");
  ngx.log(level, `[switchboard] event=${event}${about}${more} msg=${one_line}`);
}

/**
 * Writes one line: `[switchboard] event=… about="…" suppressed=… msg=…`, the message to the end of the line. At most one
 * of a key within 10 s, and 100 of an event, whatever they are about; what was left out is counted in the next line.
 *
 * @param level ngx.ERR, ngx.WARN, …
 * @param key the event, one word of those that the README lists; after a blank what it is about
 */
function tell(level: number, key: string, message: string): void {
  const [is_due, suppressed] = due(key);
  if (!is_due) {
    return;
  }
  const [event, subject] = string.match(key, "^(%S+) ?(.*)$");
  say(level, event!, subject!, suppressed, message);
}

export { printable, say, tell };
