/** Questions to DNS servers: both families of addresses, the search list, one server after another. */

import * as resolver from "resty.dns.resolver";
import { Answers, Resolver, TYPE_A, TYPE_AAAA } from "resty.dns.resolver";
import { parse_ip } from "./address";
import { Nameserver } from "./nameserver";

/** What there was to find out about a name. */
export interface Finding {
  /** Canonical, each once, sorted. Empty: none were found. */
  addresses: string[];
  /** The smallest of all records on the way. */
  ttl: number;
  /** Why there are none. */
  error: string | undefined;
}

export interface Question {
  servers: Nameserver[];
  search: string[];
  ndots: number;
  /** Seconds for one question to one server. */
  timeout: number;
}

/** One family's part. */
interface Reply {
  answers: Answers | undefined;
  error: string | undefined;
  /** No server answered at all. */
  silent: boolean;
}

/** How often the list of servers is gone through: a datagram may be lost. */
const ROUNDS = 2;
const NO_SUCH_NAME = 3;

/** Where the next question begins: with the server that answered last, not with a dead one again and again. */
let answered_last = 0;

function label(server: Nameserver): string {
  return `nameserver ${server.host}:${server.port}`;
}

/** One family's side of a question. */
interface Side {
  qtype: number;
  /** By place of the server. Each holds a socket until the timer or request ends: one a server, not one a try. */
  resolvers: LuaTable<number, Resolver>;
}

function resolver_of(
  question: Question,
  side: Side,
  place: number,
): LuaMultiReturn<[Resolver, undefined] | [undefined, string]> {
  const made = side.resolvers.get(place);
  if (made !== undefined) {
    return $multi(made, undefined);
  }
  const server = question.servers[place]!;
  const [created, err] = resolver.new({
    nameservers: [[server.host, server.port]],
    retrans: 1,
    timeout: question.timeout * 1000,
  });
  if (created === undefined) {
    return $multi(undefined, err);
  }
  side.resolvers.set(place, created);
  return $multi(created, undefined);
}

function ask_server(
  question: Question,
  side: Side,
  place: number,
  name: string,
): LuaMultiReturn<[Answers, undefined] | [undefined, string]> {
  const [asking, err] = resolver_of(question, side, place);
  if (asking === undefined) {
    return $multi(undefined, err);
  }
  // lua-resty-dns indexes what is not there in a cut or made-up packet, and raises.
  const [survived, answers, refused] = pcall(() => asking.query(name, { qtype: side.qtype }));
  if (!survived) {
    return $multi(undefined, `${label(question.servers[place]!)} sent a malformed answer`);
  }
  return $multi(answers as unknown as Answers, refused as unknown as undefined);
}

function ask(question: Question, side: Side, name: string): Reply {
  const count = question.servers.length;
  const first = answered_last;
  let error_text: string | undefined = undefined;
  let silent = true;
  for (const turn of $range(0, count * ROUNDS - 1)) {
    const place = (first + turn) % count;
    const [answers, err] = ask_server(question, side, place, name);
    if (answers === undefined) {
      error_text = err;
    } else if (answers.errcode === undefined || answers.errcode === NO_SUCH_NAME) {
      answered_last = place;
      return { answers, error: undefined, silent: false };
    } else {
      // Another server may know better.
      silent = false;
      error_text = `${label(question.servers[place]!)} answered: ${answers.errstr ?? "unknown"}`;
    }
  }
  return { answers: undefined, error: error_text, silent };
}

/** Both families at once: waiting for one after the other would double the time of every first request. */
function ask_both(question: Question, v4: Side, v6: Side, name: string): LuaMultiReturn<[Reply, Reply]> {
  let reply_v6: Reply | undefined = undefined;
  const [thread] = ngx.thread.spawn(() => {
    reply_v6 = ask(question, v6, name);
  });
  const reply_v4 = ask(question, v4, name);
  ngx.thread.wait(thread);
  return $multi(reply_v4, reply_v6!);
}

function add_answers(finding: Finding, seen: LuaSet<string>, reply: Reply): void {
  for (const answer of reply.answers ?? ([] as unknown as Answers)) {
    // A CNAME on the way may end before the address that it leads to.
    finding.ttl = math.min(finding.ttl, answer.ttl);
    const address = answer.address !== undefined ? parse_ip(answer.address) : undefined;
    if (address !== undefined && !seen.has(address.text)) {
      seen.add(address.text);
      finding.addresses.push(address.text);
    }
  }
}

function count_dots(name: string): number {
  const [, dots] = string.gsub(name, "%.", "");
  return dots;
}

/** The full names that a name may mean, in the order in which they are asked for. */
function candidates(name: string, search: string[], ndots: number): string[] {
  if (string.sub(name, -1) === ".") {
    return [string.sub(name, 1, -2)];
  }
  const whole_first = count_dots(name) >= ndots;
  const names: string[] = [];
  if (whole_first) {
    names.push(name);
  }
  for (const domain of search) {
    names.push(`${name}.${domain}`);
  }
  if (!whole_first) {
    names.push(name);
  }
  return names;
}

/**
 * Asks for the addresses of a name. Yields.
 *
 * One family that is not answered does not hold back the other: some servers never answer AAAA.
 *
 * @param name lower-case; a trailing dot makes it a full name
 */
function find(question: Question, name: string): Finding {
  const side_v4: Side = { qtype: TYPE_A, resolvers: new LuaTable() };
  const side_v6: Side = { qtype: TYPE_AAAA, resolvers: new LuaTable() };
  let failure: string | undefined = undefined;
  for (const candidate of candidates(name, question.search, question.ndots)) {
    const [v4, v6] = ask_both(question, side_v4, side_v6, candidate);
    const finding: Finding = { addresses: [], ttl: math.huge, error: undefined };
    const seen = new LuaSet<string>();
    add_answers(finding, seen, v4);
    add_answers(finding, seen, v6);
    if (finding.addresses.length > 0) {
      table.sort(finding.addresses);
      return finding;
    }
    failure = v4.error ?? v6.error ?? failure;
    if (v4.silent && v6.silent) {
      // The servers are gone; asking them for the other candidates would only take longer.
      break;
    }
  }
  return { addresses: [], ttl: 0, error: failure ?? "no such name, or it has no addresses" };
}

export { candidates, find };
