/** Asks the admin server, beside which this page is served. */

const BASE = new URL("../", document.baseURI);
const TOKEN = "switchboard_admin_token";
/** Milliseconds after which an answer is not waited for any more. */
const PATIENCE = 15_000;

/** The server said no; `word` stays, the message is for people. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly word: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** Calls are told to these. */
interface Listeners {
  unauthorized(): void;
}

const listeners: Listeners = { unauthorized: () => undefined };

/** @param ask has the reader say the token */
export function onUnauthorized(ask: () => void): void {
  listeners.unauthorized = ask;
}

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN) !== null;
}

/** Kept until the tab is closed. @param token undefined: forget it */
export function setToken(token: string | undefined): void {
  if (token === undefined) {
    sessionStorage.removeItem(TOKEN);
  } else {
    sessionStorage.setItem(TOKEN, token);
  }
}

async function refusalOf(response: Response): Promise<Refusal> {
  const body = (await response.json().catch(() => ({}))) as { error?: string; detail?: string };
  return new Refusal(response.status, body.error ?? "failed", body.detail ?? response.statusText);
}

/**
 * What a page of the server says.
 *
 * @param path relative to the server's root
 * @param accepted statuses whose body is an answer too
 */
export async function get<T>(path: string, signal?: AbortSignal, accepted: number[] = []): Promise<T> {
  const token = sessionStorage.getItem(TOKEN);
  const patience = AbortSignal.timeout(PATIENCE);
  const response = await fetch(new URL(path, BASE), {
    cache: "no-store",
    headers: token !== null ? { authorization: `Bearer ${token}` } : {},
    signal: signal !== undefined ? AbortSignal.any([signal, patience]) : patience,
  });
  if (response.ok || accepted.includes(response.status)) {
    return (await response.json()) as T;
  }
  const refusal = await refusalOf(response);
  if (refusal.status === 401) {
    listeners.unauthorized();
  }
  throw refusal;
}

/** A query of pairs; undefined and empty values are left out. */
export function query(pairs: [string, string | undefined][]): string {
  const given = pairs.filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== "");
  return new URLSearchParams(given).toString();
}
