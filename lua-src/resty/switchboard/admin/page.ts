/**
 * A page of the names that this node knows, in order.
 *
 * The names stand in numbered slots in no order. One pass over them keeps the first few that come after where the last page
 * ended, so a page takes memory for itself alone, and it is done in slices: between two of them requests have their turn.
 */

import { at, last_slot } from "../route/names";

/** Slots that are looked at in one go: below a millisecond. */
const SLICE = 500;
/** Names that have more to be looked at than themselves. */
const DEAR_SLICE = 50;
/** Seconds between two slices: stock nginx logs a warning at each sleep of none. */
const BREATH = 0.001;

export interface Page {
  names: string[];
  /** How many names are wanted in all, before and after the page. */
  total: number;
  /** There are names after the page. */
  more: boolean;
}

/** Keeps the first `most` in order. */
function cut(names: string[], most: number): void {
  table.sort(names);
  for (const i of $range(names.length, most + 1, -1)) {
    names[i - 1] = undefined!;
  }
}

/**
 * The next names after `after`. Yields.
 *
 * @param after empty: from the first
 * @param most at least 1
 * @param wants cheap, for every name
 * @param has a dearer question to those that are wanted; undefined: none
 */
function next_page(
  names: NgxSharedDict,
  after: string,
  most: number,
  wants: (this: void, name: string) => boolean,
  has: ((this: void, name: string) => boolean) | undefined,
): Page {
  const page: Page = { names: [], total: 0, more: false };
  // One more than asked for tells whether there is another page.
  const kept = most + 1;
  let bound: string | undefined = undefined;
  let dear = 0;
  for (const slot of $range(1, last_slot(names))) {
    const name = at(names, slot);
    if (name !== undefined && wants(name)) {
      dear += has !== undefined ? 1 : 0;
      if (has === undefined || has(name)) {
        page.total += 1;
        if (name > after && (bound === undefined || name < bound)) {
          page.names.push(name);
          if (page.names.length >= 2 * kept) {
            cut(page.names, kept);
            bound = page.names[kept - 1];
          }
        }
      }
    }
    if (slot % SLICE === 0 || dear >= DEAR_SLICE) {
      dear = 0;
      ngx.sleep(BREATH);
    }
  }
  cut(page.names, kept);
  page.more = page.names.length > most;
  cut(page.names, most);
  return page;
}

export { next_page };
