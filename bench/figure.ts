/** A figure of several rounds: the middle one, and between what all lie. */

export interface Figure {
  median: number;
  min: number;
  max: number;
}

export function figureOf(values: number[]): Figure {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)]!, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Round by round: what slows the machine for a while slows both. */
export function ratioOf(ones: number[], others: number[]): Figure {
  return figureOf(ones.map((one, round) => one / others[round]!));
}

/** 17.7 (17.3-18.8) */
export function show(figure: Figure, digits: number): string {
  return `${figure.median.toFixed(digits)} (${figure.min.toFixed(digits)}-${figure.max.toFixed(digits)})`;
}
