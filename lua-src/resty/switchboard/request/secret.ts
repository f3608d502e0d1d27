/** Comparing secrets. */

let key: string | undefined = undefined;

/**
 * Whether a client gave the right secret. Digests are compared, under a key of the worker: their time tells nothing.
 *
 * @param right not empty
 */
function is_same_secret(given: string, right: string): boolean {
  key = key ?? `${ngx.worker.pid()} ${ngx.now()} ${ngx.var.request_id}`;
  return ngx.hmac_sha1(key, given) === ngx.hmac_sha1(key, right);
}

export { is_same_secret };
