/**
 * The names of the routes that the list shows, in its order: as many pages as were needed so far. The server pages by name,
 * so a page can be asked for only when the one before it is there.
 */

import { get, query } from "./api.ts";
import type { Event, Names as Page } from "./types.ts";

/** Which routes are listed. */
export interface View {
  /** Part of the name. */
  q: string;
  state: "" | "ejected" | "empty" | "held";
  busiest: boolean;
}

/** Names that are listed at most: who looks for another one searches. */
const MOST = 100_000;

export class Names {
  names: string[] = [];
  /** How many match in all. */
  total = 0;
  /** How many the node knows. */
  known = 0;
  /** The first page of this view has come. */
  loaded = false;
  /** When a page came last (performance.now()). */
  loadedAt = 0;
  private next: string | null = "";
  private view: View = { q: "", state: "", busiest: false };
  private loading: AbortController | undefined;
  private wanted = 0;

  /**
   * @param changed is called whenever there is something new to show
   * @param failed is told why a page did not come
   */
  constructor(
    private readonly changed: () => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Rows that can be shown. */
  get length(): number {
    return Math.min(this.total, MOST);
  }

  /** Shows another view. */
  show(view: View): void {
    this.loading?.abort();
    this.loading = undefined;
    this.view = view;
    this.names = [];
    this.total = 0;
    this.next = "";
    this.loaded = false;
    this.wanted = 0;
    this.ensure(0);
  }

  /** Has the pages fetched up to a row. */
  ensure(row: number): void {
    this.wanted = Math.max(this.wanted, Math.min(row, MOST - 1));
    if (this.loading === undefined && this.next !== null && this.names.length <= this.wanted) {
      void this.load();
    }
  }

  /** Fetches anew as many names as are there. */
  async reload(signal: AbortSignal): Promise<void> {
    if (this.loading !== undefined) {
      return;
    }
    const { view } = this;
    const names: string[] = [];
    let page: Page;
    do {
      page = await this.fetch(names.at(-1), signal);
      names.push(...page.names);
    } while (page.next !== null && names.length < this.names.length);
    if (this.view === view && this.loading === undefined) {
      this.names = names;
      this.take(page);
    }
  }

  /** Takes over what an event says of a route, where the list is all routes by name. */
  hear({ kind, subject }: Event): void {
    if (this.view.state !== "" || this.view.busiest || !subject.includes(this.view.q.toLowerCase())) {
      return;
    }
    const at = this.placeOf(subject);
    const isThere = this.names[at] === subject;
    if (kind === "route_added" && !isThere && (at < this.names.length || this.next === null)) {
      this.names.splice(at, 0, subject);
      this.total += 1;
      this.known += 1;
      this.changed();
    } else if (kind === "route_removed" && isThere) {
      this.names.splice(at, 1);
      this.total -= 1;
      this.known -= 1;
      this.changed();
    }
  }

  /** Where a name stands, or would. */
  private placeOf(name: string): number {
    let [low, high] = [0, this.names.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.names[middle]! < name) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private async fetch(after: string | undefined, signal: AbortSignal): Promise<Page> {
    const { q, state, busiest } = this.view;
    const text = query([
      ["q", q],
      ["state", state],
      ["order", busiest ? "busiest" : undefined],
      ["after", after],
    ]);
    return get<Page>(`names?${text}`, signal);
  }

  private take(page: Page): void {
    this.total = page.total;
    this.known = page.known;
    this.next = page.next;
    this.loaded = true;
    this.loadedAt = performance.now();
    this.changed();
  }

  private async load(): Promise<void> {
    const mine = new AbortController();
    this.loading = mine;
    try {
      const page = await this.fetch(this.names.at(-1), mine.signal);
      if (this.loading === mine) {
        this.loading = undefined;
        this.names.push(...page.names);
        this.take(page);
        this.ensure(this.wanted);
      }
    } catch (error) {
      if (this.loading === mine) {
        this.loading = undefined;
        this.failed(error);
      }
    }
  }
}
