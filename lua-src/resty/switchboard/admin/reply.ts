/** What the admin server answers with: JSON, also where it refuses. */

import { write } from "./json";

/** What is asked cannot be answered: `error` is a word that stays, `detail` is for people. */
export interface Refused {
  status: number;
  error: string;
  detail: string;
}

/** What an endpoint gives: what is written as JSON with 200, or a refusal. */
export type Given = LuaMultiReturn<[object, undefined] | [undefined, Refused]>;

function refused(status: number, error: string, detail: string): LuaMultiReturn<[undefined, Refused]> {
  return $multi(undefined, { status, error, detail });
}

function given(value: object): LuaMultiReturn<[object, undefined]> {
  return $multi(value, undefined);
}

/** Sends a value. With HEAD nginx leaves the body out. */
function send(status: number, value: unknown): void {
  const header = ngx.header as Record<string, string | number>;
  const body = `${write(value)}\n`;
  ngx.status = status;
  header["Content-Type"] = "application/json; charset=utf-8";
  header["Content-Length"] = body.length;
  header["Cache-Control"] = "no-store";
  header["X-Content-Type-Options"] = "nosniff";
  ngx.print(body);
}

function send_refusal(refusal: Refused): void {
  send(refusal.status, { error: refusal.error, detail: refusal.detail });
}

export { given, refused, send, send_refusal };
