/**
 * RESP, the protocol of Redis, as the wire between Node and the Lua machine.
 *
 * Texts are bytes: one character of a string is one byte (latin1), as Redis keys need not be UTF-8.
 */

/** What Redis or Lua says. A Redis error is a Failure. */
export type Value = string | number | boolean | null | Failure | Value[] | { [name: string]: Value };

/** An error reply of Redis. */
export class Failure {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** Writes a value for `decode` of bridge.lua. */
export function encode(value: Value, out: string[]): void {
  if (typeof value === "string") {
    out.push(`$${value.length}\r\n`, value, "\r\n");
  } else if (typeof value === "number") {
    out.push(`:${value}\r\n`);
  } else if (value === null) {
    out.push("$-1\r\n");
  } else if (value instanceof Failure) {
    out.push(`-${value.message.replace(/[\r\n]/g, " ")}\r\n`);
  } else if (Array.isArray(value)) {
    out.push(`*${value.length}\r\n`);
    for (const one of value) {
      encode(one, out);
    }
  } else if (typeof value === "object") {
    const fields = Object.entries(value);
    out.push(`%${fields.length}\r\n`);
    for (const [name, field] of fields) {
      encode(name, out);
      encode(field, out);
    }
  } else {
    throw new TypeError(`the wire to Lua has no form for ${String(value)}`);
  }
}

/** Reads what `encode` of bridge.lua wrote. */
export function decode(text: string): Value {
  let at = 0;
  const line = (): string => {
    const end = text.indexOf("\r\n", at);
    const found = text.slice(at, end);
    at = end + 2;
    return found;
  };
  const next = (): Value => {
    const head = line();
    const rest = head.slice(1);
    switch (head[0]) {
      case "$": {
        const found = text.slice(at, at + Number(rest));
        at += found.length + 2;
        return found;
      }
      case ",":
        return Number(rest.replace("inf", "Infinity"));
      case "-":
        return new Failure(rest);
      case "#":
        return rest === "t";
      case "*":
        return Array.from({ length: Number(rest) }, next);
      case "%":
        return Object.fromEntries(Array.from({ length: Number(rest) }, () => [next() as string, next()]));
      default:
        return null;
    }
  };
  return next();
}
