/** The dashboard of a node: wires what the reader does to what is asked and shown. */

import { Detail, isSame, type Subject } from "./detail.ts";
import { byId, say, setAttribute, setHidden, setText } from "./dom.ts";
import { EventList } from "./events.ts";
import { startExplaining } from "./explain.ts";
import { counted, count } from "./format.ts";
import { Grid } from "./grid.ts";
import { failed, seen, showLink } from "./link.ts";
import { Names } from "./names.ts";
import { NodeView } from "./node.ts";
import { readPlace, viewOf, whichOf, writePlace } from "./place.ts";
import { repeat, stop } from "./poll.ts";
import { Routes } from "./routes.ts";
import { createRow } from "./rows.ts";
import { askForToken } from "./token.ts";

/** Pixels, as the style sheet has it. */
const ROW_HEIGHT = 30;
/** Rows for which names are fetched ahead. */
const AHEAD = 200;
/** Seconds between two looks at what is in sight. */
const OFTEN = 2;
/** Seconds after which a list that leaves out some routes is fetched anew: which it leaves out may have changed. */
const SELDOM = 15;
/** Milliseconds for which the reader types or scrolls on before anything is asked. */
const SETTLE = 150;

const list = byId("list");
const search = byId<HTMLInputElement>("search");
const filter = byId<HTMLFormElement>("filter");
const place = readPlace();

const node = new NodeView();
const routes = new Routes();
const detail = new Detail(() => node.now());
const names = new Names(() => {
  showCount();
  grid.refresh();
}, failed);
const events = new EventList(
  (event) => names.hear(event),
  () => tasks.names.now(),
);
const grid = new Grid({
  scroller: list,
  canvas: byId("canvas"),
  rowHeight: ROW_HEIGHT,
  length: () => names.length,
  create: () =>
    createRow({
      nameAt: (index) => names.names[index],
      known: (name) => routes.known(name),
      now: () => node.now(),
      isOpen: (name) => isSame(place.open, { kind: "route", name }),
      cellsWidth: () => cells.width,
    }),
  moved: (first, last) => {
    names.ensure(last + AHEAD);
    if (names.names.slice(first, last + 1).some((name) => routes.known(name) === undefined)) {
      askForSight();
    }
  },
  chosen: (index, byKey) => {
    const name = names.names[index];
    if (name !== undefined) {
      open({ kind: "route", name }, byKey);
    }
  },
});

/** How many pixels the cells of a row have, by the head of their column. */
const cells = { width: 400 };
const cellsHead = list.querySelector(".head [role=columnheader]:last-child")!;
new ResizeObserver(() => {
  cells.width = cellsHead.clientWidth;
  grid.refresh();
}).observe(cellsHead);

/** Does it once it has not been asked for any more for a moment. */
function settled(then: () => void): () => void {
  let timer: number | undefined;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(then, SETTLE);
  };
}

const askForSight = settled(() => tasks.sight.now());

function inSight(): string[] {
  const [first, last] = grid.inSight();
  return names.names.slice(first, last + 1);
}

/** What is asked, and how often. */
const tasks = {
  node: repeat(
    seen(async (signal) => node.ask(signal)),
    OFTEN,
    failed,
  ),
  events: repeat(
    seen(async (signal) => events.ask(signal)),
    OFTEN,
    failed,
  ),
  sight: repeat(
    async (signal) => {
      await routes.ask(inSight(), signal);
      grid.refresh();
    },
    OFTEN,
    failed,
  ),
  detail: repeat(async (signal) => detail.ask(signal), OFTEN, failed),
  names: repeat(
    async (signal) => {
      if (!names.loaded) {
        names.ensure(0);
      } else if (isBehind()) {
        await names.reload(signal);
      }
    },
    OFTEN,
    failed,
  ),
};

/** Whether routes came or went of which no event told: those that are known because they were asked for. */
function isBehind(): boolean {
  const isAll = whichOf(place.view) === "" && place.view.q === "";
  const is = node.status?.routes;
  return (
    (is !== undefined && is !== (isAll ? names.total : names.known)) ||
    (!isAll && performance.now() - names.loadedAt > SELDOM * 1000)
  );
}

function showCount(): void {
  const { total, known, loaded, length } = names;
  const of = total === known ? "" : ` of ${count(known)}`;
  const cut = length < total ? `, the first ${count(length)} are listed` : "";
  setText(
    byId("count"),
    loaded ? `${total === known ? counted(total, "route") : count(total) + of}${cut}` : "",
  );
  const nothing = loaded && total === 0;
  setHidden(byId("nothing"), !nothing);
  setText(
    byId("nothing"),
    known === 0
      ? "This node knows no routes yet: it learns of one when it is asked for."
      : "No route is like that.",
  );
}

/** Opens a route or an instance beside the list; undefined: nothing. */
function open(subject: Subject | undefined, byKey: boolean): void {
  place.open = subject;
  writePlace(place);
  detail.open(subject);
  grid.refresh();
  tasks.detail.now();
  if (byKey) {
    (subject !== undefined ? byId("detail-title") : list).focus();
  } else if (subject !== undefined) {
    byId("detail").scrollIntoView({ block: "nearest" });
  }
}

function applyFilter(): void {
  const which = new FormData(filter).get("view");
  place.view = viewOf(search.value.trim(), typeof which === "string" ? which : "");
  writePlace(place);
  grid.toTop();
  names.show(place.view);
}

filter.addEventListener("submit", (event) => event.preventDefault());
filter.addEventListener("change", (event) => {
  if (event.target !== search) {
    applyFilter();
  }
});
search.addEventListener("input", settled(applyFilter));
byId("detail-close").addEventListener("click", () => open(undefined, true));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && place.open !== undefined && event.target !== search) {
    open(undefined, true);
  }
});
document.addEventListener("click", (event) => {
  const button =
    event.target instanceof Element ? event.target.closest("[data-route], [data-instance]") : null;
  if (button instanceof HTMLElement) {
    const { route, instance } = button.dataset;
    open(
      route !== undefined ? { kind: "route", name: route } : { kind: "instance", name: instance ?? "" },
      event.detail === 0,
    );
  }
});

const pause = byId("pause");
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  setAttribute(pause, "aria-pressed", String(paused));
  document.body.classList.toggle("paused", paused);
  say(paused ? "Paused: what is shown stays as it is" : "Goes on");
  stop("paused", paused);
});

askForToken();
startExplaining();
search.value = place.view.q;
filter.querySelectorAll<HTMLInputElement>("[name=view]").forEach((each) => {
  each.checked = each.value === whichOf(place.view);
});
names.show(place.view);
if (place.open !== undefined) {
  open(place.open, false);
}
// What grows old by itself.
setInterval(() => {
  node.tick();
  events.show(node.now());
  showLink();
}, 1000);
