/** What the endpoints of the admin server work with. */

import { Watched } from "../observe/health";
import { Router } from "../request/phases";
import { Pair } from "./query";

export interface Admin {
  router: Router;
  watched: Watched;
  version: string;
}

/** One request. */
export interface Asked {
  method: string;
  /** Decoded; begins with a slash. */
  path: string;
  query: Pair[];
}
