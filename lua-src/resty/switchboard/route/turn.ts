/** How somebody who has much to do lets requests of this worker have their turn. */

import { new as new_semaphore, Semaphore } from "ngx.semaphore";

/** Seconds to wait for it at most. */
const PATIENCE = 1;
/** Seconds, where there is no timer left. */
const MOMENT = 0.001;

/** Of those that wait any may go on. */
let turn: Semaphore | undefined = undefined;

function post(): void {
  turn!.post(1);
}

/** Whoever waits for this worker has a turn. Yields, for no longer than that takes: a sleep is a millisecond or more. */
function give_way(): void {
  turn ??= new_semaphore(0)[0]!;
  const [started] = ngx.timer.at(0, post);
  if (started !== undefined) {
    turn.wait(PATIENCE);
  } else {
    ngx.sleep(MOMENT);
  }
}

export { give_way };
