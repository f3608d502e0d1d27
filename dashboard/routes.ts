/** What is known of the routes in sight, asked for by name. */

import { get } from "./api.ts";
import { Pace } from "./pace.ts";
import { type Known, MOST_CELLS } from "./rows.ts";
import type { Route, Routes as Answer } from "./types.ts";

/** The server takes 100 parameters and 4,096 bytes. */
const MOST_NAMES = 90;
const MOST_BYTES = 3800;
/** Routes that are remembered after they left the sight. */
const MOST_KNOWN = 1000;

interface Remembered extends Known {
  failures: Pace;
}

/** Names in as few questions as the server takes. */
function batches(names: string[]): string[] {
  const found: string[] = [];
  let text = `instances=${MOST_CELLS}`;
  let many = 0;
  for (const name of names) {
    const pair = `&name=${encodeURIComponent(name)}`;
    if (many > 0 && (many === MOST_NAMES || text.length + pair.length > MOST_BYTES)) {
      found.push(text);
      text = `instances=${MOST_CELLS}`;
      many = 0;
    }
    text += pair;
    many += 1;
  }
  return many > 0 ? [...found, text] : found;
}

/** What of a route makes one look up when it changes. */
function look(route: Route): string {
  return [route.state, route.version, ...Object.values(route.tally)].join(" ");
}

export class Routes {
  private readonly routes = new Map<string, Remembered>();

  known(name: string): Known | undefined {
    return this.routes.get(name);
  }

  /** Asks how these do. */
  async ask(names: string[], signal: AbortSignal): Promise<void> {
    for (const batch of batches(names)) {
      const { routes } = await get<Answer>(`routes?${batch}`, signal);
      routes.forEach((route) => this.take(route));
    }
  }

  private take(route: Route): void {
    const before = this.routes.get(route.name);
    const failures = before?.failures ?? new Pace(10);
    if (route.responses !== undefined) {
      failures.note(route.responses["5xx"] ?? 0, performance.now() / 1000);
    }
    const isOther = before !== undefined && look(before.route) !== look(route);
    this.routes.delete(route.name);
    this.routes.set(route.name, {
      route,
      failing: failures.perSecond,
      changedAt: isOther ? performance.now() : (before?.changedAt ?? -Infinity),
      failures,
    });
    if (this.routes.size > MOST_KNOWN) {
      // The first one is the one that was asked for the longest time ago.
      this.routes.delete(this.routes.keys().next().value!);
    }
  }
}
