/** How fast a count grows, smoothed over some seconds. */
export class Pace {
  /** undefined: not known yet. */
  perSecond: number | undefined;
  private before: { count: number; at: number } | undefined;

  constructor(private readonly seconds: number) {}

  /** @param at seconds, of whatever clock */
  note(count: number, at: number): void {
    const { before } = this;
    this.before = { count, at };
    if (before === undefined || count < before.count || at <= before.at) {
      // A count that has become less has begun anew.
      return;
    }
    const passed = at - before.at;
    const now = (count - before.count) / passed;
    const follow = 1 - Math.exp(-passed / this.seconds);
    this.perSecond = this.perSecond === undefined ? now : this.perSecond + (now - this.perSecond) * follow;
  }
}
