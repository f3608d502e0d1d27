/** The layouts that the options `schema` and `server_schemas` name, in their order. */

import { Config } from "../config";
import { create as create_dinp } from "./dinp";
import { create as create_frontend, HIPACHE, PLANB } from "./frontend";
import { KeyFormat, parse_key_format } from "./keys";
import { Layout, SchemaName } from "./layout";
import * as native from "./native";
import { create_quick } from "./native_plain";
import { within } from "./scope";
import { name_of_key, prefixes } from "./watched";

function create_native(format: KeyFormat): Layout {
  return {
    name: "native",
    prefixes: prefixes(format, []),
    add_names: (names, key) => {
      const name = name_of_key(format, key);
      if (name !== undefined) {
        names.push(name);
      }
    },
    read: (name, kind) => native.read(format, name, kind),
    ask_known: (name) => native.ask_known(format, name),
    kind_changed: native.kind_changed,
    decode: (name, kind, replies, from, last) =>
      native.decode(format, name, kind, replies, from, last?.options),
    quick: create_quick(format),
  };
}

function create_layout(config: Config, name: SchemaName, format: KeyFormat): Layout {
  if (name === "hipache" || name === "planb") {
    return create_frontend(name === "hipache" ? HIPACHE : PLANB, config.legacy_prefix, format);
  }
  return name === "dinp" ? create_dinp() : create_native(format);
}

/** @param config whose `schema` and `server_schemas` were validated */
function create_layouts(config: Config): Layout[] {
  const format = parse_key_format(config.key_format);
  const layouts: Layout[] = [];
  for (const name of config.schema) {
    layouts.push(create_layout(config, name, format));
  }
  if (config.server_schemas.length === 0) {
    return layouts;
  }
  for (const i of $range(0, layouts.length - 1)) {
    layouts[i] = within(layouts[i]!, undefined);
  }
  for (const name of config.server_schemas) {
    layouts.push(within(create_layout(config, name, format), name));
  }
  return layouts;
}

export { create_layouts };
