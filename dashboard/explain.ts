/** The box that asks where a request would go, and why. */

import { get, query, Refusal } from "./api.ts";
import { byId, element, fillTerms, say } from "./dom.ts";
import { span, words } from "./format.ts";
import type { Explanation } from "./types.ts";

const MOST_SHOWN = 50;

function verdict(told: Explanation): HTMLElement {
  const { answer } = told;
  if (answer !== undefined) {
    return element(
      "p",
      { class: "verdict no" },
      element("strong", { text: `${answer.status} ${answer.reason}` }),
      element("span", { text: told.detail ?? "the router answers itself" }),
    );
  }
  return element(
    "p",
    { class: "verdict yes" },
    element("strong", { text: told.picked ?? "nobody" }),
    element("span", { text: told.why ?? "" }),
  );
}

function waysOf(told: Explanation): [string, string][] {
  const { pattern, prefix, pool } = told.matched;
  const ways: [string, string | null][] = [
    ["Pattern", pattern],
    ["Prefix", prefix],
    ["Pool", pool],
    ["Route", told.route],
    ["Balance", told.balance],
    ["From", told.cache !== null ? `${told.cache} cache, ${span(told.age ?? 0)} old` : null],
    ["Keys", told.keys_read.join("  ")],
  ];
  return ways.filter((way): way is [string, string] => way[1] !== null && way[1] !== "");
}

function standingsOf(told: Explanation): HTMLElement {
  const list = element("ul", { class: "standings" });
  for (const { address, kept, reason, detail } of told.instances.slice(0, MOST_SHOWN)) {
    const isPicked = address === told.picked;
    list.append(
      element(
        "li",
        { class: kept ? (isPicked ? "kept picked" : "kept") : "left" },
        element("span", { class: "address", text: address }),
        element("span", { class: "why", text: `${words(reason)}${detail !== "" ? ` · ${detail}` : ""}` }),
      ),
    );
  }
  if (told.instances.length > MOST_SHOWN) {
    list.append(element("li", { text: `and ${told.instances.length - MOST_SHOWN} more` }));
  }
  return list;
}

function show(told: Explanation): void {
  const terms = element("dl", { class: "terms" });
  fillTerms(terms, waysOf(told));
  const box = byId("explained");
  box.replaceChildren(verdict(told), terms, standingsOf(told));
  box.scrollIntoView({ block: "nearest" });
  say(
    told.answer !== undefined
      ? `The router answers ${told.answer.status} ${words(told.answer.reason)}`
      : `Goes to ${told.picked ?? "nobody"}: ${told.why ?? ""}`,
  );
}

function showFailure(error: unknown): void {
  const text = error instanceof Refusal ? error.message : "The admin server did not answer.";
  byId("explained").replaceChildren(element("p", { class: "wrong", role: "alert", text }));
}

function questionOf(form: HTMLFormElement): string {
  const said = new FormData(form);
  const one = (name: string): string => {
    const value = said.get(name);
    return typeof value === "string" ? value.trim() : "";
  };
  const headers = one("headers")
    .split("\n")
    .map((line): [string, string] => ["header", line.trim()]);
  return query([
    ["host", one("host")],
    ["path", one("path") || "/"],
    ["method", one("method").toUpperCase()],
    ["scheme", one("scheme")],
    ["client", one("client")],
    ...headers,
  ]);
}

/** Lets the box answer. */
export function startExplaining(): void {
  const form = byId<HTMLFormElement>("explain");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    get<Explanation>(`explain?${questionOf(form)}`).then(show, showFailure);
  });
}

/** Asks about a host, as if the reader had. */
export function explainHost(host: string, path: string): void {
  byId<HTMLInputElement>("explain-host").value = host;
  byId<HTMLInputElement>("explain-path").value = path;
  byId<HTMLFormElement>("explain").requestSubmit();
}
