/** Small helpers for the page's elements. Text from outside comes in as text alone: nothing here takes markup. */

type Child = Node | string;

/** What an element begins with: attributes, `class` and `text` among them; undefined ones are left out. */
type Attributes = Record<string, string | undefined>;

/** The element of the page with this id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) {
    throw new Error(`the page has no #${id}`);
  }
  return found as T;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") {
      made.textContent = value ?? "";
    } else if (value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children);
  return made;
}

/** Changes nothing where nothing changes: the browser then has nothing to do. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/** @param value undefined: without the attribute */
export function setAttribute(node: Element, name: string, value: string | undefined): void {
  if (value === undefined) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== value) {
    node.setAttribute(name, value);
  }
}

export function setHidden(node: HTMLElement, hidden: boolean): void {
  if (node.hidden !== hidden) {
    node.hidden = hidden;
  }
}

/** Makes the children of a node those that stand for these items, in their order; children that stay are kept. */
export function fill<T>(
  parent: Element,
  items: T[],
  create: () => HTMLElement,
  update: (node: HTMLElement, item: T) => void,
): void {
  while (parent.children.length > items.length) {
    parent.lastElementChild!.remove();
  }
  items.forEach((item, i) => {
    const node = (parent.children[i] as HTMLElement | undefined) ?? parent.appendChild(create());
    update(node, item);
  });
}

/** Terms and what they are, for a `<dl>`. */
export function fillTerms(list: Element, terms: [string, string | Node][]): void {
  list.replaceChildren(
    ...terms.flatMap(([term, value]) => [
      element("dt", { text: term }),
      element(
        "dd",
        typeof value === "string" ? { text: value } : {},
        ...(typeof value === "string" ? [] : [value]),
      ),
    ]),
  );
}

/** Says something to who does not see the page, once. */
export function say(text: string): void {
  setText(byId("said"), text);
}
