/**
 * Seconds that were reckoned with, to the millisecond: what is told of half a second ago would be 0.49899983406067 otherwise.
 * What nginx's clock says, and the end of an ejection, are no finer than that.
 */

function seconds(reckoned: number): number {
  return math.floor(reckoned * 1000 + 0.5) / 1000;
}

/** How long a moment of ngx.now() is past; 0: it is to come. */
function seconds_since(moment: number): number {
  return seconds(math.max(0, ngx.now() - moment));
}

export { seconds, seconds_since };
