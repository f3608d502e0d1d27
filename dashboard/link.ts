/** Whether the server still answers: else what is shown is old, and the page says so. */

import { Refusal } from "./api.ts";
import { byId, setHidden, setText } from "./dom.ts";
import { span } from "./format.ts";

/** Seconds without an answer after which it is said. */
const PATIENCE = 4;

let answeredAt = performance.now();
let because: string | undefined;

/** Tells that a question was not answered, or not as it should. */
export function failed(error: unknown): void {
  if (error instanceof Refusal && error.status === 401) {
    return;
  }
  because = error instanceof Refusal ? ` (${error.message})` : "";
  showLink();
}

/** The same work, whose end is a sign of life of the server. */
export function seen(work: (signal: AbortSignal) => Promise<void>): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    await work(signal);
    answeredAt = performance.now();
    because = undefined;
    showLink();
  };
}

/** Shows how old what is shown is, where it is old. */
export function showLink(): void {
  const seconds = (performance.now() - answeredAt) / 1000;
  const isLost = because !== undefined && seconds > PATIENCE;
  document.body.classList.toggle("stale", isLost);
  setHidden(byId("lost"), !isLost);
  if (isLost) {
    // In steps: it is read out whenever it changes.
    const age = span(Math.max(5, Math.floor(seconds / 15) * 15));
    setText(
      byId("lost"),
      `The admin server does not answer${because}. What is shown is more than ${age} old.`,
    );
  }
}
