/** results.json as plots and tables read it: every part may be missing. */

import type { Figure } from "./figure.ts";
import { readResults, type Run } from "./results.ts";

/** There is no figure, and this is why. */
export interface Refused {
  refused: string;
}

export type Refusable<T> = T | Refused;

export interface Cost {
  rps: Figure;
  cpu_us: Figure;
  p99_us: Figure;
  over_bare?: Figure;
  over_plain?: Figure;
}

/** Requests, and what operators ask for beside them. */
interface Beside {
  rps: number;
  alone_p99_us: Figure;
  readers: Record<
    string,
    {
      p99_us: Figure;
      p99_ratio: Figure;
      rival_p99_ratio: Figure;
      page_ms: Figure;
      longest_page_ms: number;
      pages: number;
    }
  >;
}

export interface Results {
  runs?: Record<string, Run | undefined>;
  rounds?: number;
  cpu_ratio_spread?: Figure;
  cpu_ratio_one_host?: Figure;
  costs?: Record<string, Record<string, Refusable<Cost>>>;
  latency?: {
    rps: number;
    hosts: number;
    proxies: Record<string, Refusable<{ us: Record<string, Figure>; cpu_us: Figure }>>;
  };
  websockets?: {
    held: number;
    proxies: Record<
      string,
      Refusable<Record<"bytes" | "opening_us" | "message_us" | "p99_ms" | "idle_percent_of_core", Figure>>
    >;
    message_ratio?: Figure;
  };
  scrape?: Beside & {
    routes: number;
    /** At half of what the worker can do. */
    half: Beside;
    made_up: {
      hosts: number;
      worker_kb: [number, number, number];
      routes_lost: number;
      series: number;
    };
  };
  instructions?: Record<string, number>;
  instructions_over_bare?: number;
  instructions_over_bare_two_lines?: number;
  cache_misses?: Record<string, { instructions: number; l1: number; l2: number }>;
}

export function isRefused<T extends object>(found: Refusable<T>): found is Refused {
  return "refused" in found;
}

export function results(): Results {
  return readResults();
}

export function sourceOf({ date, commit, machine }: Run): string {
  return `make bench, ${date}, commit ${commit}, ${machine}`;
}
