/**
 * What the app is told of a request: the Host, and the header lines that follow it, as text in `$switchboard_told`, which
 * nginx sends as it is.
 *
 * nginx could glue it together of its own variables, for some 2,400 instructions. Most of it
 * is the same for all requests that come to a port: only the host and the id are put in here, in memory that is used
 * again and again.
 */

import { cast, copy, string as text_of } from "ffi";
import { Cells, cells, nginx, OK, Request } from "./nginx";
import { DIGITS, IdPlace, last_id, write_new_id } from "./id";

/** Where requests come in: a scheme and a port, and what is told of all that do. */
export interface Place extends IdPlace {
  secure: boolean;
  /** What stands between the Host and the id. */
  before: string;
  /** The same, room for an id, and what stands before the last host; `pairs` points into it. */
  lines: Cells;
  length: number;
}

const VARIABLE = "switchboard_told";
const FORWARDED_HOST = "\r\nX-Forwarded-Host: ";
/** Bytes of a host or of lines for which there is room. */
const LONGEST = 1024;
const LONGEST_PROBLEM = 256;

const buffer = cells("uint8_t[?]", 3 * LONGEST);
const small_letters = cells("uint8_t[?]", VARIABLE.length);
const problem = cells("uint8_t[?]", LONGEST_PROBLEM);
const problem_length = cells("size_t[?]", 1);

const places = new LuaTable<string, Place>();

/** How this router signs in Via. */
function signature_of(port: string): string {
  return `1.1 ${ngx.var.hostname}:${port}`;
}

/**
 * @param scheme `http` or `https`
 * @param port as text; empty where there is none
 */
function place_of(scheme: string, port: string): Place {
  const known = places.get(scheme + port) as Place | undefined;
  if (known !== undefined) {
    return known;
  }
  const before = `\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Port: ${port}\r\nVia: ${signature_of(port)}\r\nX-Request-Id: `;
  const text = before + string.rep("0", DIGITS) + FORWARDED_HOST;
  const lines = cells("uint8_t[?]", text.length);
  copy(lines, text, text.length);
  const place: Place = {
    secure: scheme === "https",
    before,
    lines,
    length: text.length,
    pairs: cast("uint16_t *", (lines as unknown as number) + before.length) as unknown as Cells,
    prefix: "",
  };
  places.set(scheme + port, place);
  return place;
}

/** Whether somebody logs the id: nginx gives a place only to variables that its conf uses. */
let logs_ids: boolean | undefined = undefined;

function is_logged(): boolean {
  const [ok] = pcall(() => {
    ngx.var.switchboard_request_id = "";
  });
  logs_ids = ok;
  return ok;
}

/** For the log, a new id; one that came nginx knows itself. */
function note_id(id: string): void {
  if (logs_ids ?? is_logged()) {
    ngx.var.switchboard_request_id = id;
  }
}

/** A new id as text, for who puts together by himself what the app is told. */
function make_id(place: Place): string {
  write_new_id(place);
  const id = last_id();
  note_id(id);
  return id;
}

/** The id that the app has been told of a request that was redirected within nginx; undefined: it was told nothing yet. */
function told_id(): string | undefined {
  const told = ngx.var.switchboard_told ?? "";
  return told !== "" ? string.match(told, "\r\nX%-Request%-Id: ([^\r]*)")[0] : undefined;
}

/** Tells what the router itself has seen of a request, with an id that it has already. */
function tell_with(place: Place, host: string, forwarded_host: string, id: string): void {
  ngx.var.switchboard_told = host + place.before + id + FORWARDED_HOST + forwarded_host;
}

/**
 * Tells what the router itself has seen of a request, with a new id.
 *
 * @param text at whose end, from `from` on, the Host for the app stands
 * @param forwarded_text the same for the one that came
 */
function tell(
  request: Request,
  place: Place,
  text: string,
  from: number,
  forwarded_text: string,
  forwarded_from: number,
): void {
  const host_length = text.length - from + 1;
  const forwarded_length = forwarded_text.length - forwarded_from + 1;
  if (host_length > LONGEST || forwarded_length > LONGEST || place.length > LONGEST) {
    tell_with(place, string.sub(text, from), string.sub(forwarded_text, forwarded_from), make_id(place));
    return;
  }
  write_new_id(place);
  const start = buffer as unknown as number;
  const lines_end = host_length + place.length;
  copy(start, (cast("const char *", text) as unknown as number) + (from - 1), host_length);
  copy(start + host_length, place.lines, place.length);
  copy(
    start + lines_end,
    (cast("const char *", forwarded_text) as unknown as number) + (forwarded_from - 1),
    forwarded_length,
  );
  problem_length.set(0, LONGEST_PROBLEM);
  const result = nginx.ngx_http_lua_ffi_var_set(
    request,
    VARIABLE,
    VARIABLE.length,
    small_letters,
    buffer,
    lines_end + forwarded_length,
    problem,
    problem_length,
  );
  if (result !== OK) {
    error(
      `could not tell the app of the request: ${text_of(problem, problem_length.get(0))}: include switchboard/headers.conf in the location, or keep its line for the Host`,
      0,
    );
  }
  if (logs_ids !== false) {
    note_id(last_id());
  }
}

export { make_id, place_of, signature_of, tell, tell_with, told_id };
