/** What is gathered of a name while its replies are decoded: instances without duplicates, options, problems. */

import { Reply } from "../store/redis";
import { parse_attributes, parse_member } from "./member";
import { keep_last_good, set_option } from "./options";
import { address_of, Instance, Problem, RouteOptions } from "./record";
import { is_wrong_type, list_of } from "./replies";

/** One of two duplicates: draining if any says so, else the smallest weight; the later life. */
function merge(kept: Instance, other: Instance): void {
  kept.drain = kept.drain || other.drain;
  kept.backup = kept.backup ?? other.backup;
  kept.zone = kept.zone ?? other.zone;
  if (other.weight < kept.weight) {
    kept.weight = other.weight;
  }
  if (kept.until !== undefined) {
    kept.until = other.until !== undefined && other.until > kept.until ? other.until : kept.until;
  }
}

export interface Gathering {
  by_address: LuaTable<string, Instance>;
  instances: Instance[];
  problems: Problem[];
}

function note(gathering: Gathering, where: string, value: string, reason: string): void {
  gathering.problems.push({ key: where, value, reason });
}

/** Adds an instance, or merges it with the one that has its address. */
function add_instance(gathering: Gathering, where: string, text: string, instance: Instance): void {
  const address = address_of(instance);
  const kept = gathering.by_address.get(address);
  if (kept !== undefined) {
    merge(kept, instance);
    note(gathering, where, text, `duplicate of ${address}`);
    return;
  }
  gathering.by_address.set(address, instance);
  gathering.instances.push(instance);
}

/** The live change of attributes: `instances:<name>` fields win over what the member says. */
function override(gathering: Gathering, where: string, reply: Reply | undefined): void {
  if (is_wrong_type(reply)) {
    note(gathering, where, "", "must be a hash");
    return;
  }
  const pairs = list_of(reply);
  for (const i of $range(1, pairs.length, 2)) {
    const field = tostring(pairs[i - 1]);
    const value = tostring(pairs[i]);
    const [named, err] = parse_member(field, (reason) => note(gathering, where, field, reason));
    if (named === undefined) {
      note(gathering, where, field, err);
    } else {
      // The field may leave out the scheme: one address means one instance, whatever it speaks.
      const address = address_of(named);
      const instance = gathering.by_address.get(address) ?? gathering.by_address.get(`https://${address}`);
      if (instance !== undefined) {
        parse_attributes(instance, value, (reason) => note(gathering, where, `${field} ${value}`, reason));
      }
    }
  }
}

function read_options(
  gathering: Gathering,
  where: string,
  reply: Reply | undefined,
  last: RouteOptions | undefined,
): RouteOptions {
  const options: RouteOptions = {};
  if (is_wrong_type(reply)) {
    note(gathering, where, "", "must be a hash");
    return last ?? options;
  }
  const pairs = list_of(reply);
  for (const i of $range(1, pairs.length, 2)) {
    const name = tostring(pairs[i - 1]);
    const value = tostring(pairs[i]);
    const reason = set_option(options, name, value);
    if (reason !== undefined) {
      note(gathering, where, `${name} ${value}`, reason);
      keep_last_good(options, name, last);
    }
  }
  return options;
}

/** Options that are another name's: what is wrong with them is told of that one. */
function read_quietly(reply: Reply | undefined, last: RouteOptions | undefined): RouteOptions {
  return read_options(create_gathering(), "", reply, last);
}

function create_gathering(): Gathering {
  return { by_address: new LuaTable(), instances: [], problems: [] };
}

function by_address(a: Instance, b: Instance): boolean {
  return address_of(a) < address_of(b);
}

/** In the order in which they are kept: equal routes must be equal texts. */
function sort_instances(gathering: Gathering): void {
  table.sort(gathering.instances, by_address);
}

export { add_instance, create_gathering, note, override, read_options, read_quietly, sort_instances };
