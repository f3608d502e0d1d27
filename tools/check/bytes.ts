/** Keys and values of Redis are bytes; people and JSON read text. */

const MOST_SHOWN = 200;

const ESCAPES: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escape(found: string, encoding: BufferEncoding): string {
  const bytes = [...Buffer.from(found, encoding)];
  return ESCAPES[found] ?? bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}

/**
 * The text that UTF-8 bytes say. Whatever is no UTF-8, cannot be printed or is a backslash is escaped as
 * redis-cli does: `\xff`, `\n`, `\\`.
 *
 * @param bytes one character a byte
 */
export function show(bytes: string): string {
  const text = Buffer.from(bytes, "latin1").toString("utf8");
  if (Buffer.from(text, "utf8").toString("latin1") === bytes) {
    return text.replace(/[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (found) => escape(found, "utf8"));
  }
  return bytes.replace(/[^ -[\]-~]/g, (found) => escape(found, "latin1"));
}

/** The same, and not a screenful. */
export function brief(bytes: string): string {
  return bytes.length > MOST_SHOWN
    ? `${show(bytes.slice(0, MOST_SHOWN))}… (${bytes.length} bytes)`
    : show(bytes);
}
