/**
 * How many retries a route may have: some for every hundred of its recent requests, and a few whatever these are.
 *
 * Retries multiply the load just when there is too much of it. With a budget, a route all of whose instances fail gets
 * a fifth more requests, not three times as many.
 *
 * A try that could not connect has loaded nobody, and what follows it is free: where most instances of a route are gone,
 * a budget would turn requests away that the others have room for.
 *
 * Counted by route and worker over some ten seconds: each count fades by e every ten. Requests are counted by one
 * addition; all else is worked out when a try has failed, or where it may not be left until then (`reserve`).
 */

/** Seconds in which a count fades by e. */
const WINDOW = 10;
/** Retries a second that a route has however few its requests are. */
const LEAST_A_SECOND = 3;

export interface Budget {
  /** Requests since the last look. */
  requests: number;
  /** Those before, faded. */
  recent: number;
  /** Retries, faded. */
  retries: number;
  /** Retries that are promised to running requests. */
  reserved: number;
  /** ngx.now() of the last look. */
  looked: number;
}

/** @param now ngx.now() */
function create(now: number): Budget {
  return { requests: 0, recent: 0, retries: 0, reserved: 0, looked: now };
}

function fade(budget: Budget, now: number): void {
  const passed = math.max(0, now - budget.looked) / WINDOW;
  const left = math.exp(-passed);
  // The new ones came evenly, so the older of them have faded too: the integral of e^-t over the time.
  const fresh = passed > 0 ? (1 - left) / passed : 1;
  budget.recent = budget.recent * left + budget.requests * fresh;
  budget.retries *= left;
  budget.requests = 0;
  budget.looked = now;
}

function has_room(budget: Budget, share: number, now: number): boolean {
  fade(budget, now);
  const most = math.max(LEAST_A_SECOND * WINDOW, share * budget.recent);
  return budget.retries + budget.reserved + 1 <= most;
}

/**
 * Takes a retry from the budget.
 *
 * @param share retries per request, such as 0.2
 * @returns false: it is spent
 */
function spend(budget: Budget, share: number, now: number): boolean {
  if (!has_room(budget, share, now)) {
    return false;
  }
  budget.retries += 1;
  return true;
}

/**
 * Promises a retry to a request that may need one: `redeem` it or `give_back`.
 *
 * @returns false: the budget is spent
 */
function reserve(budget: Budget, share: number, now: number): boolean {
  if (!has_room(budget, share, now)) {
    return false;
  }
  budget.reserved += 1;
  return true;
}

/** Takes the retry that was promised. */
function redeem(budget: Budget): void {
  budget.reserved -= 1;
  budget.retries += 1;
}

/** The request did not need it. */
function give_back(budget: Budget): void {
  budget.reserved -= 1;
}

export { create, give_back, redeem, reserve, spend };
