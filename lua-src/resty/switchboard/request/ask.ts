/**
 * What a request asks for, read from one nginx variable.
 *
 * Reading a variable costs some hundred instructions, so headers.conf glues all that matters together, and
 * what it means is worked out once per different text: almost every request of a site has the same.
 */

import { normalise, with_port } from "../route/host";
import { create, get, Recent, set } from "../route/recent";
import { Place, place_of } from "./told";

export interface Ask {
  /** As it came, for messages. */
  host: string;
  /** The name to look up; undefined: no site can have it. */
  name: string | undefined;
  /** One of the following is set: rare, so that others skip them with one check. */
  special: boolean;
  via: string;
  /** What the client wants to speak instead of HTTP, such as `websocket`. */
  upgrade: string;
  /** The Host header to send on, where it is not the one that came. */
  host_header: string | undefined;
  place: Place;
  /** Where the Host header that came begins in the text, at whose end it stands. */
  host_at: number;
}

export type Asks = Recent<Ask>;

/** Longer texts are worked out each time: they could fill the cache with megabytes. */
const LONGEST_KEPT = 512;

/**
 * The lines of `$switchboard_key` after the id: the override with $scheme and $server_port, $host, $http_upgrade,
 * $http_via, $http_host.
 */
const LINES = "^\n(.-)(https?)(%d*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n()([^\n]*)$";

/**
 * The Host header for the app, where the one that came will not do.
 *
 * An absolute request line (`GET http://a/ HTTP/1.1`) beats the Host header (RFC 9112, 3.2.2), and nginx
 * goes by it in `$host`. An app must not be told another host than the one it was chosen by.
 */
function corrected_host(host: string, header: string): string | undefined {
  const [without_port] = string.match(string.lower(header), "^(.-)%.?:?%d*$");
  if (header !== "" && (without_port === host || string.lower(header) === host)) {
    return undefined;
  }
  return host;
}

/** The name that a host is looked up by; undefined: no site can have it. */
function name_of(asked: string, header: string, ports: boolean): string | undefined {
  const name = normalise(asked);
  return name !== undefined && ports ? (with_port(name, header) ?? name) : name;
}

function work_out(key: string, ports: boolean): Ask {
  const [override, scheme, port, host, upgrade, via, host_at, header] = string.match(key, LINES);
  if (override === undefined) {
    error("$switchboard_key is not set: include switchboard/headers.conf in the location", 0);
  }
  // Without a Host (HTTP/1.0) nginx puts its server_name into $host: nobody asked for that.
  const asked = override !== "" ? override! : header !== "" ? host! : "";
  // A server that routes by address serves clients without a Host too; an HTTP/1.1 app refuses those.
  const host_header = corrected_host(host !== "" ? host! : asked, header!);
  return {
    host: asked,
    name: name_of(asked, override !== "" ? override! : header!, ports),
    special: upgrade !== "" || via !== "" || host_header !== undefined,
    via: via!,
    upgrade: upgrade!,
    host_header,
    place: place_of(scheme!, port!),
    host_at: tonumber(host_at)!,
  };
}

/** The text of `$switchboard_key` without the id that the request came with: the others are alike. */
function without_id(key: string): string {
  const [line_end] = string.find(key, "\n", 1, true);
  return line_end !== undefined ? string.sub(key, line_end) : key;
}

/** The id that a request came with; undefined: none, or one that could be anything. */
function given_id(): string | undefined {
  const id = ngx.var.switchboard_given_id ?? "";
  return id !== "" ? id : undefined;
}

/**
 * @param key the text of `$switchboard_key` without the id; raises an error where headers.conf is not included
 * @param ports names may say a port
 */
function read_ask(asks: Asks, key: string, ports: boolean): Ask {
  const known = get(asks, key);
  if (known !== undefined) {
    return known;
  }
  const ask = work_out(key, ports);
  if (key.length <= LONGEST_KEPT) {
    set(asks, key, ask);
  }
  return ask;
}

export { create as create_asks, given_id, name_of, read_ask, without_id };
