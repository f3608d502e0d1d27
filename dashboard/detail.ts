/** One route, or one instance, with all that is known of it. */

import { get, Refusal } from "./api.ts";
import { byId, element, fillTerms, setHidden, setText } from "./dom.ts";
import { count, counted, rate, span, words } from "./format.ts";
import { explainHost } from "./explain.ts";
import { runningOf } from "./rows.ts";
import type { Instance, InstanceDetail, RouteDetail } from "./types.ts";

/** Instances that are listed. */
const MOST = 200;

/** What is open. */
export type Subject = { kind: "route" | "instance"; name: string };

export function isSame(a: Subject | undefined, b: Subject | undefined): boolean {
  return a?.kind === b?.kind && a?.name === b?.name;
}

function chip(text: string, tone = ""): HTMLElement {
  return element("span", { class: `chip ${tone}`, text });
}

function heading(text: string): HTMLElement {
  return element("h3", { text });
}

function terms(pairs: [string, string | Node][]): HTMLElement {
  const list = element("dl", { class: "terms" });
  fillTerms(list, pairs);
  return list;
}

function instanceRow(instance: Instance, now: number): HTMLElement {
  const notes = [
    instance.name,
    instance.id,
    instance.zone !== undefined ? `zone ${instance.zone}` : undefined,
    instance.weight !== 1 ? `weight ${instance.weight}` : undefined,
    instance.latency !== undefined ? `${(instance.latency * 1000).toFixed(0)} ms` : undefined,
    instance.ejected_why !== undefined ? words(instance.ejected_why) : undefined,
    instance.ejected_until !== undefined
      ? `for ${span(Math.max(0, instance.ejected_until - now))}`
      : undefined,
  ].filter((note) => note !== undefined);
  return element(
    "tr",
    { class: instance.state },
    element(
      "th",
      { scope: "row" },
      element("button", {
        type: "button",
        class: "subject",
        "data-instance": instance.address,
        text: instance.address,
      }),
      element("span", { class: "notes", text: notes.join(" · ") }),
    ),
    element("td", {}, chip(instance.state, instance.state)),
    element("td", { class: "number", text: String(runningOf(instance)) }),
    element("td", { class: "number", text: rate(instance.requests_per_second) }),
  );
}

function instanceTable(route: RouteDetail, now: number): HTMLElement {
  const body = element("tbody");
  body.append(...route.instances.slice(0, MOST).map((each) => instanceRow(each, now)));
  const head = ["Instance", "State", "Running", "Req/s"].map((text, i) =>
    element("th", { scope: "col", text, class: i > 1 ? "number" : undefined }),
  );
  return element("table", { class: "instances" }, element("thead", {}, element("tr", {}, ...head)), body);
}

function routeBody(route: RouteDetail, now: number): (Node | string)[] {
  const { tally, responses } = route;
  const all = tally.up + tally.ejected + tally.draining + tally.backup;
  const parts: (Node | string)[] = [
    element(
      "p",
      { class: "chips" },
      chip(route.state, route.state),
      chip(route.schema),
      chip(`version ${route.version}`),
      chip(`read ${span(route.age)} ago`),
      chip(route.cache === "worker" ? "in this worker's cache" : "in the shared cache"),
    ),
  ];
  if (route.requests_per_second !== undefined) {
    const classes = Object.entries(responses ?? {}).filter(([, many]) => many > 0);
    parts.push(
      terms([
        ["Requests/s", rate(route.requests_per_second)],
        ["Responses", classes.map(([code, many]) => `${count(many)} × ${code}`).join("  ") || "none"],
      ]),
    );
  }
  if (all > 0) {
    parts.push(heading(counted(all, "instance")), instanceTable(route, now));
    if (all > Math.min(MOST, route.instances.length)) {
      parts.push(
        element("p", {
          class: "quiet",
          text: `${count(all - Math.min(MOST, route.instances.length))} more are not listed here`,
        }),
      );
    }
  } else if (route.split.length === 0) {
    parts.push(element("p", { class: "quiet", text: "No instances." }));
  }
  if (route.split.length > 0) {
    const shares = route.split.reduce((sum, { share }) => sum + share, 0);
    parts.push(
      heading("Split"),
      terms(
        route.split.map(({ pool, share, route: name }): [string, Node] => [
          pool,
          element("button", {
            type: "button",
            class: "subject",
            "data-route": name,
            text: shares > 0 ? `${((100 * share) / shares).toFixed(0)} %` : String(share),
          }),
        ]),
      ),
    );
  }
  if (route.paths.length > 0) {
    const paths = route.paths.map((path) =>
      element("button", { type: "button", class: "subject", "data-route": route.name + path, text: path }),
    );
    parts.push(heading("Paths"), element("p", { class: "chips" }, ...paths));
  }
  const options = [
    ...Object.entries(route.options).map(([name, value]): [string, string] => [name, String(value)]),
    ...Object.entries(route.policy),
    ...Object.entries(route.meta ?? {}).map(([name, value]): [string, string] => [`meta.${name}`, value]),
  ];
  if (options.length > 0) {
    parts.push(heading("Options"), terms(options));
  }
  if (route.skipped.length > 0) {
    parts.push(
      heading("Skipped"),
      element(
        "ul",
        { class: "skipped-list" },
        ...route.skipped.map(({ key, value, reason }) =>
          element(
            "li",
            {},
            element("code", { text: value }),
            element("span", { text: ` in ${key}: ${reason}` }),
          ),
        ),
      ),
    );
  }
  parts.push(
    heading("Read from"),
    element("p", { class: "chips" }, ...route.source_keys.map((key) => element("code", { text: key }))),
  );
  return parts;
}

/** A host and a path that lead to a route; undefined: no request can name it. */
function requestFor(name: string): [string, string] | undefined {
  const [whole = ""] = name.split(/[%#]/);
  const slash = whole.indexOf("/");
  const host = slash < 0 ? whole : whole.slice(0, slash);
  if (host === "" || host.startsWith("@")) {
    return undefined;
  }
  return [host === "*" ? "any.example" : host.replace(/^\*/, "any"), slash < 0 ? "/" : whole.slice(slash)];
}

function instanceBody(instance: InstanceDetail, now: number): (Node | string)[] {
  const { ejected_until: until, ejected_why: why, latency, requests_per_second: perSecond } = instance;
  const routes = instance.routes.map((name) =>
    element(
      "li",
      {},
      element("button", { type: "button", class: "subject", "data-route": name, text: name }),
    ),
  );
  return [
    element("p", { class: "chips" }, chip(instance.state, instance.state)),
    terms([
      ...(why !== undefined ? [["Because", words(why)] as [string, string]] : []),
      ...(until !== undefined ? [["For", span(Math.max(0, until - now))] as [string, string]] : []),
      ["Running", String(instance.running ?? instance.in_flight)],
      ...(perSecond !== undefined ? [["Requests/s", rate(perSecond)] as [string, string]] : []),
      ...(latency !== undefined
        ? [["Latency", `${(latency * 1000).toFixed(0)} ms`] as [string, string]]
        : []),
    ]),
    heading(`In ${counted(instance.routes_total, "route")}`),
    element("ul", { class: "routes-of" }, ...routes),
  ];
}

export class Detail {
  subject: Subject | undefined;
  private readonly panel = byId("detail");
  private readonly title = byId("detail-title");
  private readonly body = byId("detail-body");
  private shown = "";

  /** @param now gives the node's time */
  constructor(private readonly now: () => number) {
    const explain = element("button", {
      type: "button",
      class: "explain-this",
      text: "Explain a request to it",
    });
    explain.addEventListener("click", () => {
      const request = this.subject?.kind === "route" ? requestFor(this.subject.name) : undefined;
      if (request !== undefined) {
        explainHost(...request);
        byId("explain-host").focus();
      }
    });
    this.panel.append(explain);
  }

  open(subject: Subject | undefined): void {
    this.subject = subject;
    this.shown = "";
    setHidden(this.panel, subject === undefined);
    if (subject !== undefined) {
      setText(this.title, subject.name);
      this.body.replaceChildren(element("p", { class: "quiet", text: "asking …" }));
      const explain = this.panel.querySelector<HTMLElement>(".explain-this")!;
      setHidden(explain, subject.kind !== "route" || requestFor(subject.name) === undefined);
    }
  }

  async ask(signal: AbortSignal): Promise<void> {
    const { subject } = this;
    if (subject === undefined) {
      return;
    }
    try {
      const path = `${subject.kind}s/${encodeURIComponent(subject.name)}`;
      if (subject.kind === "route") {
        const route = await get<RouteDetail>(path, signal);
        this.put(subject, routeBody(route, this.now()));
      } else {
        const instance = await get<InstanceDetail>(path, signal);
        this.put(subject, instanceBody(instance, this.now()));
      }
    } catch (error) {
      if (!(error instanceof Refusal) || error.status === 401) {
        throw error;
      }
      this.put(subject, [element("p", { class: "wrong", text: error.message })]);
    }
  }

  /** Shows it unless something else was opened meanwhile. Who has marked some text there, or stands on a button, keeps that. */
  private put(subject: Subject, parts: (Node | string)[]): void {
    if (!isSame(subject, this.subject)) {
      return;
    }
    const holder = element("div", {}, ...parts);
    const shown = holder.textContent ?? "";
    const selection = getSelection();
    const isCopying = selection?.isCollapsed === false && this.body.contains(selection.anchorNode);
    if (shown === this.shown || (isCopying && this.shown !== "")) {
      return;
    }
    this.shown = shown;
    const buttons = [...this.body.querySelectorAll("button")];
    const focused = buttons.indexOf(document.activeElement as HTMLButtonElement);
    this.body.replaceChildren(...holder.childNodes);
    if (focused >= 0) {
      this.body.querySelectorAll("button")[focused]?.focus();
    }
  }
}
