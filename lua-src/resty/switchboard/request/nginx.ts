/**
 * The C functions behind ngx_lua's API that every request needs.
 *
 * lua-resty-core declares them, asks for the request anew in each of its own functions, looks at what it is given, and
 * makes a string of all that it returns: together more than what these do.
 */

import { C, CData, new as allocate } from "ffi";
import { get_request } from "resty.core.base";

/** An array of C numbers, 0-based. */
export type Cells = LuaTable<number, number>;
/** The request, as nginx knows it; undefined outside of one. */
export type Request = ReturnType<typeof get_request>;

/** @noSelf */
interface Functions {
  ngx_http_lua_ffi_req_start_time(request: Request): number;
  ngx_http_lua_ffi_get_resp_status(request: Request): number;
  ngx_http_lua_ffi_var_set(
    request: Request,
    name: string,
    name_length: number,
    small_letters: Cells,
    value: Cells,
    length: number,
    problem: Cells,
    problem_length: Cells,
  ): number;
  ngx_http_lua_ffi_balancer_set_upstream_tls(request: Request, on: number, problem: Cells): number;
  ngx_http_lua_ffi_balancer_set_current_peer(
    request: Request,
    address: string,
    length: number,
    port: number,
    host: string | undefined,
    host_length: number,
    problem: Cells,
  ): number;
  ngx_http_lua_ffi_balancer_enable_keepalive(
    request: Request,
    milliseconds: number,
    requests: number,
    problem: Cells,
  ): number;
  ngx_http_lua_ffi_balancer_set_more_tries(request: Request, count: number, problem: Cells): number;
}

const nginx = C as Functions;

/** What the functions return when all is well. */
const OK = 0;

function cells(kind: string, count: number): Cells {
  return allocate<CData>(kind, count) as unknown as Cells;
}

export { cells, get_request, nginx, OK };
