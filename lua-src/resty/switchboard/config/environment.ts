/** Options in the environment: SWITCHBOARD_<NAME>, and SWITCHBOARD_<NAME>_FILE for a value in a file. */

import { C, CData, cdef, string as to_text } from "ffi";
import { Parsed, trim } from "./grammar";
import { nearest } from "./near";

cdef("extern char **environ;");

const PREFIX = "SWITCHBOARD_";
const FILE = "_FILE";

/**
 * What Kubernetes and Docker links put beside a service that is called switchboard. Refusing them would stop
 * every container of a namespace in which somebody names a service so.
 */
const OF_PLATFORM = [
  "_SERVICE_HOST$",
  "_SERVICE_PORT$",
  "_SERVICE_PORT_[%w_]+$",
  "_PORT_%d+_%u+$",
  "_PORT_%d+_%u+_%u+$",
];

/** A value and where it came from. */
export interface Given {
  value: string;
  /** For messages. */
  variable: string;
}

type Values = Record<string, Given | undefined>;

function is_of_platform(variable: string, value: string): boolean {
  for (const pattern of OF_PLATFORM) {
    if (string.find(variable, pattern)[0] !== undefined) {
      return true;
    }
  }
  return string.find(variable, "_PORT$")[0] !== undefined && string.find(value, "^%l+://")[0] !== undefined;
}

/** Every variable of the process whose name begins with the prefix. Empty ones count as not set. */
function list_variables(): LuaTable<string, string> {
  const found = new LuaTable<string, string>();
  const environ = (C as { environ: LuaTable<number, CData | undefined> }).environ;
  let i = 0;
  // A C null pointer equals nil.
  while (environ.get(i) !== undefined) {
    const [name, value] = string.match(to_text(environ.get(i)), "^([^=]+)=(.*)$");
    if (
      name !== undefined &&
      value !== undefined &&
      value !== "" &&
      string.sub(name, 1, PREFIX.length) === PREFIX
    ) {
      found.set(name, value);
    }
    i += 1;
  }
  return found;
}

function read_file(path: string): Parsed<string> {
  const [file, err] = io.open(path, "r");
  if (file === undefined) {
    return $multi(undefined, err!);
  }
  const text = file.read("*a");
  file.close();
  // Reading a directory opens well and reads nothing.
  if (text !== undefined) {
    return $multi(trim(text), undefined);
  }
  return $multi(undefined, `${path}: not a readable file`);
}

function unknown(variable: string, variables: string[]): string {
  const near = nearest(variable, variables);
  return `unknown environment variable ${variable}${near !== undefined ? `; did you mean ${near}?` : ""}`;
}

/**
 * Reads the options that the environment gives. In the init phase only: nginx workers lose the environment.
 *
 * @param names of all options
 * @returns by option name; nil and a message for an unknown variable or an unreadable file
 */
function read_environment(names: string[]): Parsed<Values> {
  const options = new LuaTable<string, string>();
  const known: string[] = [];
  for (const name of names) {
    const variable = PREFIX + string.upper(name);
    options.set(variable, name);
    known.push(variable);
  }
  const values: Values = {};
  const variables = list_variables();
  for (const [variable, text] of variables) {
    const direct = options.get(variable);
    const [base] = string.match(variable, `^(.*)${FILE}$`);
    const by_file = base !== undefined ? options.get(base) : undefined;
    if (direct !== undefined) {
      values[direct] = { value: text, variable };
    } else if (by_file !== undefined) {
      if (variables.get(base!) !== undefined) {
        return $multi(undefined, `${base} and ${variable} are both set; unset one of them`);
      }
      const [value, err] = read_file(text);
      if (value === undefined) {
        return $multi(undefined, `could not read the file that ${variable} names: ${err}`);
      }
      values[by_file] = { value, variable };
    } else if (!is_of_platform(variable, text)) {
      return $multi(undefined, unknown(variable, known));
    }
  }
  return $multi(values, undefined);
}

export { read_environment };
