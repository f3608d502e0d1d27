/** The things that change something: take an instance out or put it back, let go what the guard holds, forget a route. */

import { eject, restore } from "../health/ward";
import { ejection_of } from "../health/verdict";
import { read_route } from "../route/dict";
import { forget_route } from "../route/forget";
import { held, let_go } from "../route/guard";
import { identity_of_text, short_of } from "./address";
import { Admin, Asked } from "./context";
import { BAD_ADDRESS, instance } from "./instance";
import { stranger, whole } from "./query";
import { Given, given, refused } from "./reply";

/** Seconds for which an instance is out unless said, and at most. */
const OUT_FOR = 60;
const A_DAY = 86400;

function eject_instance(admin: Admin, asked: Asked, text: string): Given {
  const seconds = whole(asked.query, "seconds", OUT_FOR, 1, A_DAY);
  if (seconds === undefined || stranger(asked.query, ["seconds"], "") !== undefined) {
    return refused(400, "bad_query", `seconds must be a whole number from 1 to ${A_DAY}`);
  }
  const identity = identity_of_text(text);
  if (identity === undefined) {
    return refused(400, "bad_address", BAD_ADDRESS);
  }
  const [known, wrong] = instance(admin, text);
  if (known === undefined) {
    return $multi(undefined, wrong);
  }
  eject(identity, seconds);
  return given({
    address: short_of(identity),
    state: "ejected",
    ejected_until: ejection_of(admin.watched.state, identity)?.until,
  });
}

function restore_instance(admin: Admin, text: string): Given {
  const identity = identity_of_text(text);
  if (identity === undefined) {
    return refused(400, "bad_address", BAD_ADDRESS);
  }
  if (ejection_of(admin.watched.state, identity) === undefined) {
    return refused(409, "not_ejected", "this instance is not ejected");
  }
  restore(identity);
  return given({ address: short_of(identity), state: "up" });
}

function release_guard(admin: Admin): Given {
  const loss = held(admin.watched.state);
  if (loss === undefined) {
    return refused(409, "nothing_held", "the guard holds nothing");
  }
  let_go(admin.watched.state);
  return given({ released: loss.count, of: loss.known });
}

function forget(admin: Admin, name: string): Given {
  const { lookup } = admin.router;
  if (read_route(lookup.dicts, name) === undefined) {
    return refused(404, "unknown_route", "this node has no such route");
  }
  const [found, err] = forget_route(lookup.loader, name);
  if (found === undefined) {
    return refused(503, "store_unreachable", `it is forgotten, and read when it is asked for: ${err}`);
  }
  return given({ name, known: found });
}

/** A POST that may be done. Yields. */
function order(admin: Admin, asked: Asked): Given {
  const { path } = asked;
  if (path === "/guard/release") {
    return release_guard(admin);
  }
  const [out] = string.match(path, "^/instances/(.+)/eject$");
  if (out !== undefined) {
    return eject_instance(admin, asked, out);
  }
  const [back] = string.match(path, "^/instances/(.+)/restore$");
  if (back !== undefined) {
    return restore_instance(admin, back);
  }
  const [name] = string.match(path, "^/routes/(.+)/forget$");
  return forget(admin, name!);
}

export { order };
