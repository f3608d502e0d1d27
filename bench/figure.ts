/** A figure of several rounds: the middle one, and between what all lie. */

export interface Figure {
  median: number;
  min: number;
  max: number;
}

/** The value below which this share of all lies; 0.5: the middle one. */
export function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

export function figureOf(values: number[]): Figure {
  return { median: quantile(values, 0.5), min: Math.min(...values), max: Math.max(...values) };
}

/** Round by round: what slows the machine for a while slows both. */
export function ratioOf(ones: number[], others: number[]): Figure {
  return figureOf(ones.map((one, round) => one / others[round]!));
}

/** 17.7 (17.3-18.8) */
export function show(figure: Figure, digits: number): string {
  return `${figure.median.toFixed(digits)} (${figure.min.toFixed(digits)}-${figure.max.toFixed(digits)})`;
}
