/** What was measured of one proxy under one load, round by round; or why there is no figure of it. */

import { figureOf, type Figure } from "./figure.ts";
import { inPeace } from "./load.ts";

export class Series<T> {
  private readonly samples = new Map<string, T[]>();
  private readonly refusals = new Map<string, string>();

  /** Measures once more; what was refused before is left alone. */
  async add(key: string, attempt: () => Promise<T>): Promise<T | undefined> {
    if (this.refusals.has(key)) {
      return undefined;
    }
    try {
      const sample = await inPeace(key, attempt);
      this.samples.set(key, [...(this.samples.get(key) ?? []), sample]);
      return sample;
    } catch (failure) {
      const { message } = failure as Error;
      this.refusals.set(key, message);
      console.error(`no figures of ${key}: ${message}`);
      return undefined;
    }
  }

  /** Of each round; undefined: it was refused, or not asked for. */
  of<U>(key: string, what: (sample: T) => U): U[] | undefined {
    return this.refusals.has(key) ? undefined : this.samples.get(key)?.map(what);
  }

  figure(key: string, what: (sample: T) => number): Figure | undefined {
    const values = this.of(key, what);
    return values === undefined ? undefined : figureOf(values);
  }

  /** Why one has no figures; undefined: it has. */
  refusal(key: string): string | undefined {
    return this.refusals.get(key);
  }

  /** How many have none. */
  get refused(): number {
    return this.refusals.size;
  }
}
