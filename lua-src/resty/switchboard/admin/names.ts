/** `GET /names`: what this node knows by name alone, a page at a time. */

import { count } from "../route/names";
import { Admin, Asked } from "./context";
import { as_list } from "./json";
import { next_of } from "./page";
import { Given, given } from "./reply";
import { select } from "./selection";

const PAGE = 1000;

/** `GET /names?limit=&after=&q=&state=&order=&meta.<key>=` Yields. */
function names(admin: Admin, asked: Asked): Given {
  const [page, wrong] = select(admin, asked.query, PAGE, []);
  if (page === undefined) {
    return $multi(undefined, wrong);
  }
  return given({
    total: page.total,
    known: count(admin.router.lookup.dicts.names),
    next: next_of(page) ?? ngx.null,
    names: as_list(page.names),
  });
}

export { names };
