/**
 * How much garbage gathers in this worker while all names are walked.
 *
 * LuaJIT keeps all strings of a VM in one hash table, and makes that twice as large or half as large in one go: 30 ms where
 * it has some hundred thousand. A walk leaves a few strings a name. With the usual pause between two runs of the collector,
 * which lets the memory double, their number rose and fell by more than the half, and with each run, every second or so,
 * requests waited for that. So while they would, the next run begins when the memory is half as large again; without any
 * pause the collector takes a quarter of the worker's time.
 */

/** Per cent of the memory that is used at the end of a run, at which the next begins; LuaJIT's own is 200. */
const SHORT_PAUSE = 150;

let usual: number | undefined = undefined;

/** Requests are served while names are walked. */
function gather_little(): void {
  if (usual === undefined) {
    usual = collectgarbage("setpause", SHORT_PAUSE);
    // The run that is due by the usual pause would be the last one that comes too late.
    collectgarbage("step", 0);
  }
}

/** There is nothing to walk, or nobody who waits. */
function gather_as_usual(): void {
  if (usual !== undefined) {
    collectgarbage("setpause", usual);
    usual = undefined;
  }
}

export { gather_as_usual, gather_little };
