import { Config } from "../config";

export type Command = (string | number)[];
/** What Redis answers; a command's own error inside of a transaction is [false, message]. */
export type Reply = string | number | NgxNull | [false, string] | Reply[];

function transaction(
  _config: Config,
  _commands: Command[],
  _timeout: number,
): LuaMultiReturn<[Reply[], undefined] | [undefined, string]> {
  return $multi(undefined, "not written yet");
}

function ping(_config: Config, _timeout: number): LuaMultiReturn<[true, undefined] | [undefined, string]> {
  return $multi(undefined, "not written yet");
}

function reachable(): boolean {
  return true;
}

export { ping, reachable, transaction };
