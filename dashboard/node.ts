/** How the node does: the figures at the top, who is out, the store, the watch and the shared memory. */

import { get } from "./api.ts";
import { byId, element, fill, fillTerms, setAttribute, setHidden, setText } from "./dom.ts";
import { bytes, count, rate, span, words } from "./format.ts";
import { Pace } from "./pace.ts";
import { Spark } from "./spark.ts";
import type { Readiness, Status } from "./types.ts";

const READY: Record<Readiness["state"], string> = {
  ready: "Ready",
  degraded: "Ready, not well",
  not_ready: "Not ready",
};

const MODES: Record<string, string> = {
  tracking: "client tracking",
  notifications: "keyspace notifications",
  ttl: "none: read again by age",
  none: "none",
};

export class NodeView {
  status: Status | undefined;
  private readiness: Readiness | undefined;
  /** Seconds by which the node's clock is before ours. */
  private ahead = 0;
  private readonly spark = new Spark(byId("spark"));
  private readonly failing = new Pace(10);
  private readonly answers = new Map<string, Pace>();

  /** The node's time, Unix seconds. */
  now(): number {
    return Date.now() / 1000 + this.ahead;
  }

  async ask(signal: AbortSignal): Promise<void> {
    const [status, readiness] = await Promise.all([
      get<Status>("status", signal),
      get<Readiness>("readyz", signal, [503]),
    ]);
    this.ahead = status.time - Date.now() / 1000;
    this.status = status;
    this.readiness = readiness;
    const { requests } = status;
    if (requests !== undefined) {
      this.spark.add(requests.per_second);
      this.failing.note(requests.responses["5xx"] ?? 0, status.time);
      for (const [reason, many] of Object.entries(requests.answers)) {
        const pace = this.answers.get(reason) ?? new Pace(60);
        this.answers.set(reason, pace);
        pace.note(many, status.time);
      }
    }
    this.show();
  }

  /** What changes by itself as time passes. */
  tick(): void {
    if (this.status !== undefined) {
      this.showOut(this.status);
    }
  }

  private show(): void {
    const status = this.status!;
    this.showReadiness(this.readiness!);
    const { requests } = status;
    setText(byId("figure-rate"), requests !== undefined ? rate(requests.per_second) : "off");
    setText(byId("figure-failing"), requests !== undefined ? rate(this.failing.perSecond ?? 0) : "off");
    byId("figure-failing").classList.toggle("hurt", (this.failing.perSecond ?? 0) >= 0.05);
    setText(byId("figure-running"), count(status.in_flight));
    setText(byId("figure-routes"), count(status.routes));
    setText(byId("figure-out"), count(status.ejected));
    byId("figure-out").classList.toggle("hurt", status.ejected > 0);
    this.showOut(status);
    this.showAnswers();
    this.showStore(status);
    this.showDicts(status);
  }

  private showReadiness({ state, reasons }: Readiness): void {
    const said = [READY[state], ...reasons.map(({ detail }) => detail)].join(" · ");
    setAttribute(byId("ready"), "class", `ready ${state}`);
    setText(byId("ready-words"), said);
    setAttribute(byId("ready"), "title", said);
    document.title = state === "ready" ? "Switchboard" : `${READY[state]} · Switchboard`;
  }

  private showOut(status: Status): void {
    const { ejections, ejected } = status;
    setHidden(byId("out-none"), ejected > 0);
    setHidden(byId("out-count"), ejected === 0);
    setText(byId("out-count"), count(ejected));
    const more = ejected > ejections.length ? [undefined] : [];
    fill(byId("out"), [...ejections, ...more], createOut, (node, ejection) => {
      const [address, why, until] = [...node.children] as HTMLElement[];
      setText(address!, ejection?.address ?? `and ${count(ejected - ejections.length)} more`);
      setAttribute(address!, "data-instance", ejection?.address);
      setText(why!, ejection !== undefined ? words(ejection.why) : "");
      const left = (ejection?.until ?? 0) - this.now();
      setText(until!, ejection === undefined ? "" : left > 0 ? span(Math.ceil(left)) : "now");
    });
  }

  private showAnswers(): void {
    const lately = [...this.answers]
      .map(([reason, pace]): [string, number] => [reason, (pace.perSecond ?? 0) * 60])
      .filter(([, many]) => many >= 0.5)
      .sort(([, a], [, b]) => b - a);
    setHidden(byId("answers-card"), lately.length === 0);
    fill(
      byId("answers"),
      lately,
      () => element("li", {}, element("span", { class: "why" }), element("span", { class: "number" })),
      (node, [reason, many]) => {
        setText(node.firstElementChild!, words(reason));
        setText(node.lastElementChild!, count(Math.round(many)));
      },
    );
  }

  private showStore(status: Status): void {
    const { store, watch, guard } = status;
    const down = `down for ${span(store.down_for)}${store.reason !== "" ? `: ${store.reason}` : ""}`;
    const mark = (text: string, bad: boolean): HTMLElement =>
      element("span", { class: bad ? "hurt" : "fine", text });
    fillTerms(byId("node"), [
      ["Redis", mark(store.state === "up" ? "answers" : down, store.state === "down")],
      ...(store.server !== "" ? [["At", store.server] as [string, string]] : []),
      ["Hears of changes by", mark(MODES[watch.mode] ?? watch.mode, watch.mode === "none")],
      ...(watch.reason !== "" ? [["Because", watch.reason] as [string, string]] : []),
      ["A change waited", `${(watch.lag * 1000).toFixed(0)} ms`],
      ["Routes", `${count(status.routes)}, ${status.complete ? "all of Redis" : "those asked for so far"}`],
      [
        "Guard",
        mark(
          guard.held > 0 ? `holds ${count(guard.held)} of ${count(guard.of)}` : "holds nothing",
          guard.held > 0,
        ),
      ],
      ["Workers", `${status.workers}, answered by ${status.worker}${status.draining ? ", draining" : ""}`],
      ["Version", status.version],
    ]);
  }

  private showDicts(status: Status): void {
    const dicts = Object.entries(status.dicts).sort(([a], [b]) => (a < b ? -1 : 1));
    fill(byId("dicts"), dicts, createDict, (node, [name, { capacity, free }]) => {
      const [label, meter, text] = [...node.children] as HTMLElement[];
      const used = capacity - free;
      const short = name.replace(/^switchboard_/, "");
      setText(label!, short);
      setAttribute(meter!, "aria-label", `${short}: used`);
      setAttribute(meter!, "max", String(capacity));
      setAttribute(meter!, "high", String(capacity * 0.95));
      setAttribute(meter!, "value", String(used));
      setText(text!, `${Math.round((100 * used) / capacity)} % of ${bytes(capacity)}`);
    });
  }
}

function createOut(): HTMLElement {
  return element(
    "li",
    {},
    element("button", { type: "button", class: "subject" }),
    element("span", { class: "why" }),
    element("span", { class: "until", title: "until it is tried again" }),
  );
}

function createDict(): HTMLElement {
  return element(
    "li",
    {},
    element("span", { class: "label" }),
    element("meter", { min: "0" }),
    element("span", { class: "number" }),
  );
}
