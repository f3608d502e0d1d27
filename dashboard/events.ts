/** What has changed lately. */

import { get } from "./api.ts";
import { byId, element, fill, setAttribute, setHidden, setText } from "./dom.ts";
import { address, ago, clock, words } from "./format.ts";
import type { Event, Events } from "./types.ts";

/** Events that are shown. */
const MOST = 100;

/** A sign, a word, and whether it is good or bad news. */
const KINDS: Record<string, [string, string, string]> = {
  route_added: ["+", "added", "new"],
  route_changed: ["~", "changed", "new"],
  route_removed: ["−", "removed", "gone"],
  instance_ejected: ["✕", "ejected", "bad"],
  instance_recovered: ["✓", "recovered", "good"],
  store_lost: ["!", "Redis lost", "bad"],
  store_back: ["✓", "Redis back", "good"],
  guard_holding: ["!", "guard holding", "bad"],
  guard_released: ["✓", "guard released", "good"],
};

export class EventList {
  private events: Event[] = [];
  private last = 0;

  /**
   * @param heard is told of each event that is new since the page was opened, the oldest first
   * @param missed is called when there were more than the ring holds
   */
  constructor(
    private readonly heard: (event: Event) => void,
    private readonly missed: () => void,
  ) {}

  async ask(signal: AbortSignal): Promise<void> {
    const { last, events } = await get<Events>(`events?after=${this.last}&limit=${MOST}`, signal);
    if (last < this.last) {
      // The node has begun to count anew.
      this.events = [];
      this.last = 0;
      this.missed();
      return;
    }
    if (this.last > 0) {
      if (last - this.last > events.length) {
        this.missed();
      }
      [...events].reverse().forEach(this.heard);
    }
    this.last = Math.max(last, this.last);
    this.events = [...events, ...this.events].slice(0, MOST);
  }

  /** @param now the node's time, Unix seconds */
  show(now: number): void {
    setHidden(byId("events-none"), this.events.length > 0);
    setHidden(byId("events"), this.events.length === 0);
    fill(byId("events"), gather(this.events), createEvent, (node, gathered) =>
      updateEvent(node, gathered, now),
    );
  }
}

/** Events that say the same of the same, as the latest of them. */
interface Gathered {
  event: Event;
  times: number;
}

/** An instance that comes and goes must not push everything else out. */
function gather(events: Event[]): Gathered[] {
  const found = new Map<string, Gathered>();
  for (const event of events) {
    const key = `${event.kind} ${event.subject} ${event.detail}`;
    const known = found.get(key);
    if (known !== undefined) {
      known.times += 1;
    } else {
      found.set(key, { event, times: 1 });
    }
  }
  return [...found.values()];
}

function createEvent(): HTMLElement {
  return element(
    "li",
    {},
    element("span", { class: "sign", "aria-hidden": "true" }),
    element("span", { class: "what" }),
    element("button", { type: "button", class: "subject" }),
    element("span", { class: "more" }),
    element("time", {}),
  );
}

function updateEvent(node: HTMLElement, { event, times }: Gathered, now: number): void {
  const [sign, what, tone] = KINDS[event.kind] ?? ["·", words(event.kind), "new"];
  const [signNode, whatNode, subject, more, time] = [...node.children] as HTMLElement[];
  setAttribute(node, "class", tone);
  setText(signNode!, sign);
  setText(whatNode!, what);
  setText(subject!, address(event.subject));
  setHidden(subject!, event.subject === "");
  subject!.dataset[event.kind.startsWith("instance") ? "instance" : "route"] = address(event.subject);
  delete subject!.dataset[event.kind.startsWith("instance") ? "route" : "instance"];
  setText(time!, ago(now - event.time));
  setAttribute(time!, "title", clock(event.time));
  const again = times > 1 ? `${times} times` : "";
  setText(more!, [words(event.detail), again].filter((each) => each !== "").join(" · "));
  setAttribute(more!, "title", more!.textContent ?? "");
}
