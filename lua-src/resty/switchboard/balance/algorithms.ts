/** The algorithms by their names. */

import { create as ewma } from "./ewma";
import { create as hash } from "./hash";
import { create as least_conn } from "./least_conn";
import { MakePicker } from "./picker";
import { create as random } from "./random";
import { create as round_robin } from "./round_robin";

const ALGORITHMS: Record<string, MakePicker | undefined> = {
  round_robin,
  least_conn,
  ewma,
  hash,
  random,
};

export { ALGORITHMS };
