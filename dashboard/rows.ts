/** A route as a row of the list: its name, how it does, and its instances as cells. */

import { element, fill, setAttribute, setHidden, setText } from "./dom.ts";
import { rate, span, words } from "./format.ts";
import type { RowView } from "./grid.ts";
import type { Instance, Route } from "./types.ts";

/** Pixels that a cell takes with its numbers, at least, and without. */
const WIDE = 56;
const NARROW = 13;
/** Instances that a row has cells for at most. */
export const MOST_CELLS = 60;

/** What is known of a route, and since when. */
export interface Known {
  route: Route;
  /** 5xx a second lately; undefined: not counted by itself. */
  failing: number | undefined;
  /** When its state last changed before our eyes (performance.now()). */
  changedAt: number;
}

/** Not by colour alone. */
const MARKS: Record<Instance["state"], string> = { up: "", ejected: "✕", draining: "↓ ", backup: "b " };

export function runningOf(instance: Instance): number {
  return instance.running ?? instance.in_flight;
}

/** An instance in words. */
export function describe(instance: Instance): string {
  const parts = [instance.address, words(instance.state)];
  if (instance.ejected_why !== undefined) {
    parts.push(words(instance.ejected_why));
  }
  parts.push(`${runningOf(instance)} running`);
  if (instance.requests_per_second !== undefined) {
    parts.push(`${rate(instance.requests_per_second)} requests/s`);
  }
  if (instance.weight !== 1) {
    parts.push(`weight ${instance.weight}`);
  }
  if (instance.zone !== undefined) {
    parts.push(`zone ${instance.zone}`);
  }
  return parts.join(" · ");
}

/** What a screen reader says of a route's instances. */
function summary(route: Route): string {
  const { tally } = route;
  const said = Object.entries(tally).filter(([, many]) => many > 0);
  return said.length === 0 ? "no instances" : said.map(([state, many]) => `${many} ${state}`).join(", ");
}

function createCell(): HTMLElement {
  return element("span", { class: "cell" }, element("b"), element("i"));
}

/** What a cell says on its left and on its right. */
function cellTexts(instance: Instance, now: number): [string, string] {
  const mark = MARKS[instance.state];
  if (instance.state === "ejected") {
    const left = (instance.ejected_until ?? 0) - now;
    return [mark, left > 0 ? span(Math.ceil(left)) : ""];
  }
  return [`${mark}${runningOf(instance)}`, rate(instance.requests_per_second)];
}

/** @param now the node's time */
function updateCell(node: HTMLElement, instance: Instance, most: number, narrow: boolean, now: number): void {
  const running = runningOf(instance);
  const perSecond = instance.requests_per_second;
  const [left, right] = [node.firstElementChild!, node.lastElementChild!];
  setAttribute(
    node,
    "class",
    `cell ${instance.state}${narrow ? " narrow" : ""}${running > 0 ? " busy" : ""}`,
  );
  const [said, more] = narrow ? ["", ""] : cellTexts(instance, now);
  setText(left, said);
  setText(right, more);
  setAttribute(node, "title", describe(instance));
  const load = most > 0 ? Math.round(((perSecond ?? 0) / most) * 20) * 5 : 0;
  if (node.dataset.load !== String(load)) {
    node.dataset.load = String(load);
    node.style.setProperty("--load", `${load}%`);
  }
}

/** How many cells fit, and how. */
function arrange(instances: number, width: number): { count: number; narrow: boolean } {
  const wide = Math.floor(width / WIDE);
  if (instances <= wide) {
    return { count: instances, narrow: false };
  }
  // The last place says how many more there are.
  const narrow = Math.floor(width / NARROW) - 4;
  return { count: Math.max(1, Math.min(instances, narrow, MOST_CELLS)), narrow: true };
}

export interface RowSource {
  nameAt(index: number): string | undefined;
  known(name: string): Known | undefined;
  /** The node's time, Unix seconds. */
  now(): number;
  isOpen(name: string): boolean;
  /** Pixels that the cells of a row have. */
  cellsWidth(): number;
}

export function createRow(source: RowSource): RowView {
  const name = element("span", { class: "name" });
  const state = element("span", { class: "state" });
  const skipped = element("span", { class: "skipped", title: "values were skipped" });
  const perSecond = element("div", { role: "gridcell", class: "number" });
  const failing = element("div", { role: "gridcell", class: "number failing" });
  const many = element("div", { role: "gridcell", class: "number many" });
  const strip = element("span", { class: "strip", "aria-hidden": "true" });
  const more = element("span", { class: "more" });
  const said = element("span", { class: "away" });
  const node = element(
    "div",
    { role: "row", class: "row" },
    element("div", { role: "rowheader", class: "title" }, name, state, skipped),
    perSecond,
    failing,
    many,
    element("div", { role: "gridcell", class: "cells" }, said, strip, more),
  );

  const blank = (): void => {
    setText(state, "");
    setText(skipped, "");
    [perSecond, failing, many, more, said].forEach((each) => setText(each, ""));
    fill(strip, [], createCell, () => undefined);
  };

  const showRoute = (known: Known): void => {
    const { route } = known;
    const { tally } = route;
    const all = tally.up + tally.ejected + tally.draining + tally.backup;
    setText(state, route.state === "ok" ? "" : route.state);
    setAttribute(state, "class", `state ${route.state}`);
    setText(skipped, route.problems > 0 ? `${route.problems} skipped` : "");
    setText(perSecond, route.requests_per_second !== undefined ? rate(route.requests_per_second) : "");
    setText(failing, known.failing === undefined || known.failing < 0.05 ? "" : rate(known.failing));
    setText(many, tally.ejected > 0 ? `${all - tally.ejected}/${all}` : String(all));
    many.classList.toggle("hurt", tally.ejected > 0);
    const { count, narrow } = arrange(all, source.cellsWidth());
    const shown = route.instances.slice(0, count);
    const most = Math.max(...shown.map((each) => each.requests_per_second ?? 0), 0.1);
    fill(strip, shown, createCell, (cell, instance) =>
      updateCell(cell, instance, most, narrow, source.now()),
    );
    setText(more, all > shown.length ? `+${all - shown.length}` : "");
    setText(said, summary(route));
    node.classList.toggle("fresh", performance.now() - known.changedAt < 2500);
  };

  return {
    node,
    show: (index) => {
      const called = source.nameAt(index);
      const known = called !== undefined ? source.known(called) : undefined;
      setText(name, called ?? "…");
      setAttribute(name, "title", called);
      setAttribute(node, "aria-selected", String(called !== undefined && source.isOpen(called)));
      if (known === undefined) {
        blank();
      } else {
        showRoute(known);
      }
      setHidden(state, state.textContent === "");
      setHidden(skipped, skipped.textContent === "");
    },
  };
}
