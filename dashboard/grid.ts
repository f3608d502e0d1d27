/**
 * A list of any length with few elements: rows of one height, of which those in sight exist. They are placed where they
 * belong and given other contents as the list moves.
 *
 * The list itself has the focus, and says which row is meant (`aria-activedescendant`): rows come and go.
 */

import { setAttribute } from "./dom.ts";

/** Rows beyond what is in sight, on either side. */
const BEYOND = 6;

export interface RowView {
  node: HTMLElement;
  /** Shows another row, or the same one as it is now. */
  show(index: number): void;
}

interface Placed {
  view: RowView;
  /** Which row it shows; -1: none yet. */
  index: number;
}

export interface GridOptions {
  /** What scrolls, and has the focus. */
  scroller: HTMLElement;
  /** Holds the rows. */
  canvas: HTMLElement;
  rowHeight: number;
  length: () => number;
  create: () => RowView;
  /** The rows in sight are others now. */
  moved: (first: number, last: number) => void;
  /** A row was chosen. @param byKey by the keyboard */
  chosen: (index: number, byKey: boolean) => void;
}

export class Grid {
  /** The row that the keyboard is at. */
  active = 0;
  private readonly rows: Placed[] = [];
  private frame: number | undefined;
  /** What is known of the rows has changed, not only which are in sight. */
  private changed = true;

  constructor(private readonly options: GridOptions) {
    const { scroller, canvas } = options;
    scroller.addEventListener("scroll", () => this.schedule(), { passive: true });
    scroller.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("click", (event) => {
      const row = this.rows.find(({ view }) => view.node.contains(event.target as Node));
      if (row !== undefined) {
        this.active = row.index;
        this.refresh();
        options.chosen(this.active, false);
      }
    });
    new ResizeObserver(() => this.refresh()).observe(scroller);
  }

  /** The rows in sight: the first one and the last one. */
  inSight(): [number, number] {
    const { scroller, rowHeight, length } = this.options;
    const first = Math.floor(scroller.scrollTop / rowHeight);
    const last = Math.ceil((scroller.scrollTop + scroller.clientHeight) / rowHeight);
    return [Math.max(0, Math.min(first, length() - 1)), Math.max(0, Math.min(last, length() - 1))];
  }

  /** Shows what is there now, with the next frame. */
  refresh(): void {
    this.changed = true;
    this.schedule();
  }

  toTop(): void {
    this.active = 0;
    this.options.scroller.scrollTop = 0;
    this.refresh();
  }

  private schedule(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
      this.changed = false;
    });
  }

  /** Has so many rows, which stand in the page in the order in which they are seen. */
  private supply(count: number): void {
    const { canvas, create } = this.options;
    while (this.rows.length < count) {
      const view = create();
      this.rows.push({ view, index: -1 });
      canvas.append(view.node);
    }
    while (this.rows.length > count) {
      this.rows.pop()!.view.node.remove();
    }
  }

  /** Lets the rows that stay in sight be what they are: those that have left it become the ones that come. */
  private rotate(first: number): void {
    const { canvas } = this.options;
    const by = first - (this.rows[0]?.index ?? first);
    if (Math.abs(by) >= this.rows.length) {
      return;
    }
    for (let i = 0; i < by; i += 1) {
      const row = this.rows.shift()!;
      this.rows.push(row);
      canvas.append(row.view.node);
    }
    for (let i = 0; i > by; i -= 1) {
      const row = this.rows.pop()!;
      this.rows.unshift(row);
      canvas.prepend(row.view.node);
    }
  }

  private draw(): void {
    const { scroller, canvas, rowHeight, length, moved } = this.options;
    const all = length();
    canvas.style.height = `${all * rowHeight}px`;
    this.active = Math.max(0, Math.min(this.active, all - 1));
    const [start, end] = this.inSight();
    const first = Math.max(0, start - BEYOND);
    const count = all === 0 ? 0 : Math.min(all - 1, end + BEYOND) - first + 1;
    this.supply(count);
    this.rotate(first);
    this.rows.forEach((row, i) => {
      const index = first + i;
      const { node } = row.view;
      if (row.index !== index) {
        row.index = index;
        node.style.transform = `translateY(${index * rowHeight}px)`;
        node.id = `row-${index}`;
        setAttribute(node, "aria-rowindex", String(index + 2));
        row.view.show(index);
      } else if (this.changed) {
        row.view.show(index);
      }
      node.classList.toggle("active", index === this.active);
    });
    const shown = this.active >= first && this.active < first + count;
    setAttribute(scroller, "aria-activedescendant", shown ? `row-${this.active}` : undefined);
    setAttribute(scroller, "aria-rowcount", String(all + 1));
    moved(start, end);
  }

  private key(event: KeyboardEvent): void {
    const { scroller, rowHeight, length, chosen } = this.options;
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight) - 2);
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -length(),
      End: length(),
    };
    const step = steps[event.key];
    if (event.ctrlKey || event.altKey || event.metaKey || length() === 0) {
      return;
    }
    if (step !== undefined) {
      event.preventDefault();
      this.active = Math.max(0, Math.min(this.active + step, length() - 1));
      this.bringIntoSight();
      this.refresh();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      chosen(this.active, true);
    }
  }

  private bringIntoSight(): void {
    const { scroller, rowHeight } = this.options;
    const top = this.active * rowHeight;
    const room = scroller.clientHeight - this.headHeight();
    if (top < scroller.scrollTop) {
      scroller.scrollTop = top;
    } else if (top + rowHeight > scroller.scrollTop + room) {
      scroller.scrollTop = top + rowHeight - room;
    }
  }

  /** The head of the table stays in sight, above the rows. */
  private headHeight(): number {
    return this.options.canvas.offsetTop;
  }
}
