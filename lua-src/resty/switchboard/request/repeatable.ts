/** Methods that may be sent twice. nginx itself would also repeat PURGE and whatever it does not know. */
const REPEATABLE: Record<string, true | undefined> = {
  GET: true,
  HEAD: true,
  OPTIONS: true,
  TRACE: true,
  PUT: true,
  DELETE: true,
};

/** Whether a request of this method may reach an app twice (RFC 9110, 9.2.2). */
function is_repeatable(method: string): boolean {
  return REPEATABLE[method] !== undefined;
}

export { is_repeatable };
