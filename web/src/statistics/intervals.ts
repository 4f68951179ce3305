// Exact intervals of shares from counts: smearscan/differential/statistics/intervals.py.

import { betaQuantile } from "./beta";

export type Interval = [low: number, high: number];

/** Exact two-sided interval of a percentage (Clopper and Pearson, 1934); 0 and 100 where nothing was counted. */
export function exactInterval(count: number, total: number, level = 0.95): Interval {
  const tail = (1 - level) / 2;
  const low = count > 0 ? betaQuantile(tail, count, total - count + 1) : 0;
  const high = count < total ? betaQuantile(1 - tail, count + 1, total - count) : 1;
  return [100 * low, 100 * high];
}

/** Largest percentage that a count does not exclude, one-sided. */
export function upperLimit(count: number, total: number, level = 0.95): number {
  return count < total ? 100 * betaQuantile(level, count + 1, total - count) : 100;
}
