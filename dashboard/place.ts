/** Where the reader is: which routes are listed and what is open. It stands in the address, to be kept and passed on. */

import type { Subject } from "./detail.ts";
import type { View } from "./names.ts";

export interface Place {
  view: View;
  open: Subject | undefined;
}

const STATES = ["ejected", "empty", "held"] as const;

/** The view behind one of the radio buttons. */
export function viewOf(q: string, which: string): View {
  return { q, state: STATES.find((state) => state === which) ?? "", busiest: which === "busiest" };
}

/** The radio button of a view. */
export function whichOf(view: View): string {
  return view.busiest ? "busiest" : view.state;
}

export function readPlace(): Place {
  const said = new URLSearchParams(location.hash.slice(1));
  const [route, instance] = [said.get("route"), said.get("instance")];
  let open: Subject | undefined;
  if (route !== null) {
    open = { kind: "route", name: route };
  } else if (instance !== null) {
    open = { kind: "instance", name: instance };
  }
  return { view: viewOf(said.get("q") ?? "", said.get("view") ?? ""), open };
}

export function writePlace({ view, open }: Place): void {
  const said = new URLSearchParams();
  if (view.q !== "") {
    said.set("q", view.q);
  }
  if (whichOf(view) !== "") {
    said.set("view", whichOf(view));
  }
  if (open !== undefined) {
    said.set(open.kind, open.name);
  }
  const text = said.toString();
  history.replaceState(null, "", text !== "" ? `#${text}` : location.pathname);
}
