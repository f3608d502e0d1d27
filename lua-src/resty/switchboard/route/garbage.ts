/**
 * When the garbage is collected that gathers in this worker while all names are walked.
 *
 * LuaJIT keeps all strings of a VM in one hash table, and makes that twice as large or half as large in one go: 30 ms where
 * it has some hundred thousand. A walk leaves a few strings a name. With the usual pause between two runs of the collector,
 * which lets the memory double, their number rose and fell by more than the half, and with each run, every second or so,
 * requests waited for that. So while they would, the next run begins when the memory is half as large again; without any
 * pause the collector takes a quarter of the worker's time.
 *
 * Once a run has begun it goes on with each kilobyte that is taken, twice as fast as these, by LuaJIT's own measure. What is
 * done between two turns of requests then takes half as long again; so here it goes half as fast as they are taken, and a run
 * is spread over four times as many turns.
 */

/** Per cent of the memory that is used at the end of a run, at which the next begins; LuaJIT's own is 200. */
const SHORT_PAUSE = 150;
/** Per cent of what is taken that a run goes through meanwhile; LuaJIT's own is 200. */
const SLOW_STEPS = 50;

let usual: { pause: number; steps: number } | undefined = undefined;

/** Requests are served while names are walked. */
function gather_little(): void {
  if (usual === undefined) {
    usual = {
      pause: collectgarbage("setpause", SHORT_PAUSE),
      steps: collectgarbage("setstepmul", SLOW_STEPS),
    };
    // The run that is due by the usual pause would be the last one that comes too late.
    collectgarbage("step", 0);
  }
}

/** There is nothing to walk, or nobody who waits. */
function gather_as_usual(): void {
  if (usual !== undefined) {
    collectgarbage("setpause", usual.pause);
    collectgarbage("setstepmul", usual.steps);
    usual = undefined;
  }
}

export { gather_as_usual, gather_little };
