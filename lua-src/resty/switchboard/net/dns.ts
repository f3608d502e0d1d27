/**
 * The addresses of a name, from /etc/hosts or from DNS, kept in the worker as long as DNS says.
 *
 * nginx's own `resolver` cannot be reached from Lua, and cosockets resolve nothing without one.
 */

import { find_captured } from "../captured";
import * as semaphores from "ngx.semaphore";
import { Semaphore } from "ngx.semaphore";
import * as lrucache from "resty.lrucache";
import { LruCache } from "resty.lrucache";
import { Config } from "../config";
import { parse_ip } from "./address";
import { find } from "./dns_query";
import { READ_AGAIN, read_hosts, read_resolv_conf } from "./system";

export type Resolved = LuaMultiReturn<
  [string[], number, string | undefined] | [undefined, string, undefined]
>;

/** Seconds that an answer counts at least and at most, whatever its TTL. */
const SHORTEST_TTL = 1;
const LONGEST_TTL = 3600;
/** Seconds until a name is asked for again that could not be resolved. */
const FAILURE_TTL = 1;
/** Names kept. */
const MOST_NAMES = 10000;
/** Names asked for at a time. nginx runs only so many timers at once; the others wait. */
const MOST_AT_ONCE = 16;
const LONGEST_NAME = 253;
const LONGEST_LABEL = 63;
const A_LABEL = "([^.]*)%.";

/** What is known of a name. */
interface Known {
  /** The last good ones. */
  addresses: string[] | undefined;
  /** Why the last question failed. */
  error: string | undefined;
  /** ngx.now() from which it must be asked for again. */
  expires: number;
}

/** A name that is being asked for, once for all who wait. */
interface Flight {
  name: string;
  config: Config;
  landed: Semaphore;
  waiting: number;
}

let cache: LruCache<Known> | undefined = undefined;
const flights = new LuaTable<string, Flight>();
const queue: Flight[] = [];
let drainers = 0;

function is_host_name(name: string): boolean {
  const [full] = string.match(name, "^(.-)%.?$");
  if (full === undefined || full.length > LONGEST_NAME || string.find(full, "^[%w_.-]+$")[0] === undefined) {
    return false;
  }
  const labels = `${full}.`;
  let [, end, label] = find_captured(labels, A_LABEL);
  while (end !== undefined) {
    if (label === "" || label!.length > LONGEST_LABEL) {
      return false;
    }
    [, end, label] = find_captured(labels, A_LABEL, end + 1);
  }
  return true;
}

function names_kept(): LruCache<Known> {
  if (cache === undefined) {
    const [created, err] = lrucache.new<Known>(MOST_NAMES);
    assert(created, err);
    cache = created!;
  }
  return cache;
}

/** Answers from what is known, however old that is. */
function answer(name: string, known: Known | undefined, missing: string): Resolved {
  const failure = `could not resolve ${name}: ${known?.error ?? missing}`;
  if (known === undefined || known.addresses === undefined) {
    return $multi(undefined, failure, undefined);
  }
  const left = known.expires - ngx.now();
  if (known.error !== undefined || left <= 0) {
    return $multi(known.addresses, FAILURE_TTL, failure);
  }
  return $multi(known.addresses, left, undefined);
}

/** Asks for a name and wakes those who wait for it. */
function fly(flight: Flight): void {
  const conf = read_resolv_conf();
  const finding = find(
    {
      servers: flight.config.nameservers.length > 0 ? flight.config.nameservers : conf.nameservers,
      search: conf.search,
      ndots: conf.ndots,
      timeout: flight.config.dns_timeout,
    },
    flight.name,
  );
  const kept = names_kept();
  if (finding.error !== undefined) {
    const last = kept.get(flight.name);
    kept.set(flight.name, {
      addresses: last !== undefined ? last.addresses : undefined,
      error: finding.error,
      expires: ngx.now() + FAILURE_TTL,
    });
  } else {
    const ttl = math.max(SHORTEST_TTL, math.min(LONGEST_TTL, finding.ttl));
    kept.set(flight.name, { addresses: finding.addresses, error: undefined, expires: ngx.now() + ttl });
  }
  flights.delete(flight.name);
  if (flight.waiting > 0) {
    flight.landed.post(flight.waiting);
  }
}

/** Asks for the names in the queue. */
function drain(): void {
  let flight = table.remove(queue, 1);
  while (flight !== undefined) {
    fly(flight);
    // One name a timer: the sockets that a timer opened are closed when it ends.
    if (queue.length > 0 && ngx.timer.at(0, drain)[0] !== undefined) {
      return;
    }
    flight = table.remove(queue, 1);
  }
  drainers -= 1;
}

/**
 * Takes off in the background: the answer is wanted by later requests also when the first one has no time
 * left to wait for it.
 */
function take_off(name: string, config: Config): Flight {
  const [landed, err] = semaphores.new(0);
  assert(landed, err);
  const flight: Flight = { name, config, landed: landed!, waiting: 0 };
  flights.set(name, flight);
  queue.push(flight);
  if (drainers < MOST_AT_ONCE) {
    drainers += 1;
    if (ngx.timer.at(0, drain)[0] === undefined) {
      // No timer to be had, as in a worker that is about to exit: then in the caller's own time.
      drain();
    }
  }
  return flight;
}

/**
 * How many of the seconds that are left a caller waits. Whoever has last good addresses needs time to use
 * them: with dead nameservers Redis would otherwise be lost too, though its address is known.
 */
function patience_for(known: Known | undefined, left: number): number {
  if (known === undefined || known.addresses === undefined) {
    return left;
  }
  return known.error === undefined ? left / 2 : 0;
}

/**
 * The addresses of a name. Yields; not for the balancer phase.
 *
 * @param name an IP address, or a DNS name of any case; with a trailing dot the search list is left out
 * @param deadline ngx.now() until which the caller waits
 * @returns canonical addresses, sorted; the seconds for which they count; and, when these are the last good
 *   ones because the name cannot be resolved now, why. Else nil and "could not resolve …".
 */
function resolve(name: string, config: Config, deadline: number): Resolved {
  const literal = parse_ip(name);
  if (literal !== undefined) {
    return $multi([literal.text], LONGEST_TTL, undefined);
  }
  const lower = string.lower(name);
  if (!is_host_name(lower)) {
    return $multi(undefined, `could not resolve ${name}: not a DNS name`, undefined);
  }
  const local = read_hosts().get(lower);
  if (local !== undefined) {
    return $multi(local, READ_AGAIN, undefined);
  }
  const known = names_kept().get(lower);
  if (known !== undefined && ngx.now() < known.expires) {
    return answer(lower, known, "");
  }
  const flight = flights.get(lower) ?? take_off(lower, config);
  const patience = patience_for(known, deadline - ngx.now());
  if (flights.get(lower) === flight && patience > 0) {
    flight.waiting += 1;
    const [landed] = flight.landed.wait(patience);
    if (landed === undefined) {
      flight.waiting -= 1;
    }
  }
  return answer(lower, names_kept().get(lower), "no answer in time");
}

export { resolve };
