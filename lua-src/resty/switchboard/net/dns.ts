import { Config } from "../config";

function resolve(
  name: string,
  _config: Config,
  _deadline: number,
): LuaMultiReturn<[string[], number, string | undefined] | [undefined, string, undefined]> {
  return $multi(undefined, `could not resolve ${name}: not written yet`, undefined);
}

export { resolve };
