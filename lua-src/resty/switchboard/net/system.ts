/** What this machine says about names: /etc/hosts and /etc/resolv.conf. */

import { parse_ip } from "./address";
import { Nameserver, parse_nameserver } from "./nameserver";

/** Addresses, each once and sorted, by lower-case name. */
export type Hosts = LuaTable<string, string[]>;

export interface ResolvConf {
  nameservers: Nameserver[];
  search: string[];
  /** A name with so many dots is asked for as it is before the search list is. */
  ndots: number;
}

const HOSTS = "/etc/hosts";
const LOCALHOST = "localhost";
const RESOLV_CONF = "/etc/resolv.conf";
/** Seconds after which a file is read again: container platforms rewrite both while programs run. */
const READ_AGAIN = 5;
/** resolv.conf(5) caps it silently. */
const MOST_NDOTS = 15;

interface Cached<T> {
  value: T | undefined;
  read_at: number;
}

function words_of(line: string): string[] {
  const [bare] = string.match(line, "^[^#;]*");
  const words: string[] = [];
  for (const [word] of string.gmatch(bare ?? "", "%S+")) {
    words.push(word!);
  }
  return words;
}

function add(hosts: Hosts, name: string, address: string): void {
  const known = hosts.get(name) ?? [];
  for (const other of known) {
    if (other === address) {
      return;
    }
  }
  known.push(address);
  table.sort(known);
  hosts.set(name, known);
}

/** Reads the format of hosts(5); lines that are not understood say nothing. */
function parse_hosts(text: string): Hosts {
  const hosts: Hosts = new LuaTable();
  for (const [line] of string.gmatch(text, "[^\r\n]+")) {
    const words = words_of(line!);
    const address = parse_ip(words[0] ?? "");
    if (address !== undefined) {
      for (const i of $range(2, words.length)) {
        add(hosts, string.lower(words[i - 1]!), address.text);
      }
    }
  }
  if (hosts.get(LOCALHOST) === undefined) {
    // RFC 6761 6.3. Small images come without the file, and DNS must not be asked for this name.
    add(hosts, LOCALHOST, "127.0.0.1");
    add(hosts, LOCALHOST, "::1");
  }
  return hosts;
}

function parse_ndots(words: string[]): number | undefined {
  for (const word of words) {
    const [digits] = string.match(word, "^ndots:(%d+)$");
    if (digits !== undefined) {
      return math.min(tonumber(digits)!, MOST_NDOTS);
    }
  }
  return undefined;
}

/** Reads the format of resolv.conf(5); servers with a zone id (fe80::1%eth0) are left out. */
function parse_resolv_conf(text: string): ResolvConf {
  const conf: ResolvConf = { nameservers: [], search: [], ndots: 1 };
  for (const [line] of string.gmatch(text, "[^\r\n]+")) {
    const words = words_of(line!);
    if (words[0] === "nameserver") {
      const [server] = parse_nameserver(words[1] ?? "");
      if (server !== undefined) {
        conf.nameservers.push(server);
      }
    } else if (words[0] === "search" || words[0] === "domain") {
      conf.search = [];
      for (const i of $range(2, words.length)) {
        const [domain] = string.match(string.lower(words[i - 1]!), "^(.-)%.?$");
        if (domain !== undefined && domain !== "") {
          conf.search.push(domain);
        }
      }
    } else if (words[0] === "options") {
      conf.ndots = parse_ndots(words) ?? conf.ndots;
    }
  }
  if (conf.nameservers.length === 0) {
    conf.nameservers.push({ host: "127.0.0.1", port: 53 });
  }
  return conf;
}

/** A missing file says nothing, as for every other resolver. */
function read_file(path: string): string {
  const [file] = io.open(path, "r");
  if (file === undefined) {
    return "";
  }
  const text = file.read("*a");
  file.close();
  return text ?? "";
}

function read<T extends object>(cached: Cached<T>, path: string, parse: (this: void, text: string) => T): T {
  const now = ngx.now();
  if (cached.value === undefined || now >= cached.read_at + READ_AGAIN) {
    cached.value = parse(read_file(path));
    cached.read_at = now;
  }
  return cached.value;
}

const hosts: Cached<Hosts> = { value: undefined, read_at: 0 };
const resolv_conf: Cached<ResolvConf> = { value: undefined, read_at: 0 };

/** What /etc/hosts says, at most `READ_AGAIN` seconds ago. */
function read_hosts(): Hosts {
  return read(hosts, HOSTS, parse_hosts);
}

/** What /etc/resolv.conf says, at most `READ_AGAIN` seconds ago. */
function read_resolv_conf(): ResolvConf {
  return read(resolv_conf, RESOLV_CONF, parse_resolv_conf);
}

export { parse_hosts, parse_resolv_conf, READ_AGAIN, read_hosts, read_resolv_conf };
