/** Methods that may be sent twice. nginx itself would also repeat PURGE and whatever it does not know. */
const REPEATABLE: Record<string, true | undefined> = {
  GET: true,
  HEAD: true,
  OPTIONS: true,
  TRACE: true,
  PUT: true,
  DELETE: true,
};

/**
 * Whether the request may reach an app twice: by its method (RFC 9110, 9.2.2), or because its client has given it an
 * `Idempotency-Key`, by which the app knows it again.
 */
function is_repeatable(vars: Record<string, string | undefined>): boolean {
  return REPEATABLE[vars.request_method ?? ""] !== undefined || (vars.http_idempotency_key ?? "") !== "";
}

export { is_repeatable };
