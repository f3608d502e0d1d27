/** Numbers and times as they are read: short, and of a steady width. */

export function rate(perSecond: number | undefined): string {
  if (perSecond === undefined) {
    return "";
  }
  if (perSecond >= 10_000) {
    return `${(perSecond / 1000).toFixed(0)}k`;
  }
  if (perSecond >= 1000) {
    return `${(perSecond / 1000).toFixed(1)}k`;
  }
  if (perSecond >= 10) {
    return perSecond.toFixed(0);
  }
  return perSecond < 0.05 ? "0" : perSecond.toFixed(1);
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** `1 route`, `2 routes` */
export function counted(value: number, word: string): string {
  return `${count(value)} ${word}${value === 1 ? "" : "s"}`;
}

export function bytes(value: number): string {
  return value >= 1 << 20 ? `${(value / (1 << 20)).toFixed(0)} MB` : `${(value / 1024).toFixed(0)} kB`;
}

/** A span of time: `0.4 s`, `12 s`, `3 min`, `2 h`, `4 d`. Whole seconds have no tenths. */
export function span(seconds: number): string {
  if (seconds < 9.95) {
    return `${Number.isInteger(seconds) ? seconds : Math.max(0, seconds).toFixed(1)} s`;
  }
  if (seconds < 100) {
    return `${seconds.toFixed(0)} s`;
  }
  if (seconds < 6000) {
    return `${(seconds / 60).toFixed(0)} min`;
  }
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86_400).toFixed(0)} d`;
}

/** How long ago: `now`, `3 s`. */
export function ago(seconds: number): string {
  return seconds < 1 ? "now" : span(Math.floor(seconds));
}

/** `connect_failed`: words for people. */
export function words(word: string): string {
  return word.replaceAll("_", " ");
}

/** `http://` says nothing. */
export function address(identity: string): string {
  return identity.replace(/^http:\/\//, "");
}

/** The local time of day. */
export function clock(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}
