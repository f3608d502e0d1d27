/**
 * A few texts that the workers of a node keep together, each for a while, and that can be listed: a shared dict itself can
 * only be walked by `get_keys`, which stops every worker.
 *
 * A text has one of so many numbered places, the first free one from where its checksum says. Who comes too late finds none.
 */

/**
 * Keeps a text from now on for so long, whatever was said of it before.
 *
 * @param list which list
 * @param most how many places it has
 */
function keep(dict: NgxSharedDict, list: string, most: number, text: string, seconds: number): void {
  const start = ngx.crc32_short(text);
  for (const step of $range(0, most - 1)) {
    const key = `${list}:${(start + step) % most}`;
    const [free] = dict.safe_add(key, text, seconds);
    if (free) {
      return;
    }
    const [there] = dict.get(key);
    if (there === text) {
      dict.safe_set(key, text, seconds);
      return;
    }
  }
}

/** The texts that are kept now, each once, in no order. */
function kept(dict: NgxSharedDict, list: string, most: number): string[] {
  const found: string[] = [];
  const seen = new LuaSet<string>();
  for (const place of $range(0, most - 1)) {
    const text = dict.get(`${list}:${place}`)[0] as string | undefined;
    // A place before its own was free when it was kept again.
    if (text !== undefined && !seen.has(text)) {
      seen.add(text);
      found.push(text);
    }
  }
  return found;
}

export { keep, kept };
