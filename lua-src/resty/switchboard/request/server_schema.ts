/** `set $switchboard_schema dinp;`: a server that knows the names of one layout alone. */

import { Config } from "../config";
import { tell } from "../observe/journal";
import { SchemaName } from "../schema/layout";
import { with_scope } from "../schema/scope";

/** What the server has chosen; undefined: nothing, or what nobody may choose. */
function chosen(config: Config): SchemaName | undefined {
  if (config.server_schemas.length === 0) {
    return undefined;
  }
  const text = ngx.var.switchboard_schema;
  for (const one of config.server_schemas) {
    if (one === text) {
      return one;
    }
  }
  if (text !== undefined && text !== "") {
    tell(
      ngx.ERR,
      "unknown_schema",
      `$switchboard_schema is "${text}": not in server_schemas, so the server has the layouts of schema`,
    );
  }
  return undefined;
}

/** The layout whose users the clients of this server are. */
function schema_of_server(config: Config): SchemaName {
  return chosen(config) ?? config.schema[0]!;
}

/** The name by which the route of a host is known on this server. */
function name_on_server(config: Config, name: string): string {
  return with_scope(name, chosen(config));
}

export { name_on_server, schema_of_server };
