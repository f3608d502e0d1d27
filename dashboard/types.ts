/** What the admin server answers, as openapi.json describes it; only what is shown here. */

export type InstanceState = "up" | "ejected" | "draining" | "backup";
export type RouteState = "ok" | "empty" | "degraded" | "held";

export interface Instance {
  address: string;
  name?: string;
  state: InstanceState;
  weight: number;
  in_flight: number;
  running?: number;
  requests_per_second?: number;
  zone?: string;
  id?: string;
  ejected_until?: number;
  ejected_why?: string;
  latency?: number;
}

export interface Route {
  name: string;
  schema: string;
  version: string;
  age: number;
  state: RouteState;
  cache: string;
  tally: Record<InstanceState, number>;
  instances: Instance[];
  meta?: Record<string, string>;
  requests_per_second?: number;
  responses?: Record<string, number>;
  problems: number;
}

export interface RouteDetail extends Route {
  options: Record<string, string | number | boolean>;
  policy: Record<string, string>;
  split: { pool: string; share: number; route: string }[];
  paths: string[];
  source_keys: string[];
  skipped: { key: string; value: string; reason: string }[];
}

export interface Routes {
  total: number;
  known: number;
  next: string | null;
  routes: Route[];
}

export interface Names {
  total: number;
  known: number;
  next: string | null;
  names: string[];
}

export interface InstanceDetail {
  address: string;
  state: "up" | "ejected";
  in_flight: number;
  running?: number;
  requests_per_second?: number;
  latency?: number;
  ejected_until?: number;
  ejected_why?: string;
  routes: string[];
  routes_total: number;
}

export interface Status {
  version: string;
  time: number;
  worker: number;
  workers: number;
  store: { state: "up" | "down"; server: string; reason: string; down_for: number };
  watch: { mode: string; reason: string; lag: number };
  guard: { held: number; of: number };
  complete: boolean;
  routes: number;
  in_flight: number;
  requests?: {
    per_second: number;
    responses: Record<string, number>;
    answers: Record<string, number>;
  };
  dicts: Record<string, { capacity: number; free: number }>;
  ejected: number;
  ejections: { address: string; until: number; why: string }[];
  draining: boolean;
}

export interface Readiness {
  ready: boolean;
  state: "ready" | "degraded" | "not_ready";
  reasons: { reason: string; detail: string }[];
}

export interface Event {
  number: number;
  time: number;
  kind: string;
  subject: string;
  detail: string;
}

export interface Events {
  last: number;
  events: Event[];
}

export interface Explanation {
  host: string;
  path: string;
  keys_read: string[];
  matched: { pattern: string | null; pool: string | null; prefix: string | null };
  route: string | null;
  cache: string | null;
  age: number | null;
  answer?: { status: number; reason: string };
  detail?: string;
  balance: string | null;
  instances: { address: string; kept: boolean; reason: string; detail: string }[];
  picked: string | null;
  why: string | null;
}
