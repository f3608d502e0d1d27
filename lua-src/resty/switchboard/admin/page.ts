/**
 * A page of the names that this node knows, in order.
 *
 * The names stand on numbered pages in no order. One pass over them keeps the first few that come after where the last page
 * ended, so a page takes memory for itself alone, and it is done in slices: between two of them requests have their turn.
 */

import { last_page, names_on } from "../route/names";

/** Names that are looked at in one go: below a millisecond. */
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
  /** No name after this one is among the first; undefined: any may be. */
  bound: string | undefined;
}

/** Keeps the first `most` in order. */
function cut(names: string[], most: number): void {
  table.sort(names);
  for (const i of $range(names.length, most + 1, -1)) {
    names[i - 1] = undefined!;
  }
}

/** Puts a name on the page if it is one of the first that come after where the last page ended. */
function take_in(page: Page, name: string, after: string, kept: number): void {
  page.total += 1;
  if (name > after && (page.bound === undefined || name < page.bound)) {
    page.names.push(name);
    if (page.names.length >= 2 * kept) {
      cut(page.names, kept);
      page.bound = page.names[kept - 1];
    }
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
  const page: Page = { names: [], total: 0, more: false, bound: undefined };
  // One more than asked for tells whether there is another page.
  const kept = most + 1;
  let seen = 0;
  let dear = 0;
  for (const number of $range(1, last_page(names))) {
    for (const name of names_on(names, number)) {
      const wanted = wants(name);
      seen += 1;
      dear += wanted && has !== undefined ? 1 : 0;
      if (wanted && (has === undefined || has(name))) {
        take_in(page, name, after, kept);
      }
    }
    if (seen >= SLICE || dear >= DEAR_SLICE) {
      seen = 0;
      dear = 0;
      ngx.sleep(BREATH);
    }
  }
  cut(page.names, kept);
  page.more = page.names.length > most;
  cut(page.names, most);
  return page;
}

/**
 * The first of some names, in their own order. Yields.
 *
 * @param has a dear question
 */
function page_of(
  names: string[],
  most: number,
  wants: (this: void, name: string) => boolean,
  has: (this: void, name: string) => boolean,
): Page {
  const page: Page = { names: [], total: 0, more: false, bound: undefined };
  for (const i of $range(1, names.length)) {
    const name = names[i - 1]!;
    if (wants(name) && has(name)) {
      page.total += 1;
      if (page.names.length < most) {
        page.names.push(name);
      }
    }
    if (i % DEAR_SLICE === 0) {
      ngx.sleep(BREATH);
    }
  }
  return page;
}

/** What `after` takes for the page that follows; undefined: none does. */
function next_of(page: Page): string | undefined {
  return page.more ? page.names[page.names.length - 1] : undefined;
}

export { next_of, next_page, page_of };
