// The differential corrected for the nets' errors: smearscan/differential/statistics/correction.py.

import type { NamingErrors } from "./errors";
import { roundHalfEven } from "./format";
import { Generator } from "./random";

export interface Corrected {
  classes: string[];
  percent: number[];
  low: number[];
  high: number[];
  /** Probability that the blast percentage is at or above each limit. */
  above: number[];
  reason: string;
}

/** Correct the counts of a slide, in the order of `errors.classes`; NaN where a number is not identifiable. */
export function corrected(counts: number[], errors: NamingErrors, counted: string[], level: number, limits: number[]): Corrected {
  const t = errors.classes.length;
  const inside = errors.classes.map((name) => counted.includes(name));
  const percent = pointShares(counts, errors, inside);
  const { lower, upper } = draws(counts, errors, inside);
  const ends = [roundHalfEven((errors.draws - 1) * ((1 - level) / 2)), roundHalfEven((errors.draws - 1) * ((1 + level) / 2))];
  const low: number[] = [];
  const high: number[] = [];
  const k = errors.classes.indexOf("blast");
  let above = limits.map((limit) =>
    k < 0 ? NaN : (share(lower[k]!, (v) => v >= limit) + share(upper[k]!, (v) => v >= limit)) / 2,
  );
  for (let c = 0; c < t; c++) {
    low.push(Math.min(lower[c]!.sort()[ends[0]!]!, percent[c]!));
    high.push(Math.max(upper[c]!.sort()[ends[1]!]!, percent[c]!));
  }
  for (const name of Object.keys(errors.unidentified)) {
    const c = errors.classes.indexOf(name);
    percent[c] = low[c] = high[c] = NaN;
    if (name === "blast") above = limits.map(() => NaN);
  }
  let reason = Object.entries(errors.unidentified)
    .filter(([name]) => counted.includes(name))
    .map(([, why]) => why)
    .join("; ");
  if (!counts.some((value, c) => inside[c] && value > 0)) {
    for (const list of [percent, low, high]) list.fill(NaN);
    above = limits.map(() => NaN);
    reason = "no leukocyte was counted";
  }
  return { classes: errors.classes, percent, low, high, above, reason };
}

function share(values: Float32Array, holds: (value: number) => boolean): number {
  let n = 0;
  for (const value of values) if (holds(value)) n++;
  return n / values.length;
}

function pointShares(counts: number[], errors: NamingErrors, inside: boolean[]): number[] {
  const total = Math.max(counts.reduce((s, v) => s + v, 0), 1);
  const solved = errors.classes.map((_, c) => {
    const value = counts.reduce((s, v, i) => s + (v / total) * errors.mean_inverse[i]![c]!, 0);
    return Math.max(value * errors.mean_weight[c]!, 0);
  });
  const whole = solved.reduce((s, v, c) => s + (inside[c] ? v : 0), 0);
  return solved.map((v) => (100 * v) / whole);
}

/** Draws of the percentages for the lower and for the upper limit, T lists each. */
function draws(counts: number[], errors: NamingErrors, inside: boolean[]): { lower: Float32Array[]; upper: Float32Array[] } {
  const t = errors.classes.length;
  const n = errors.draws;
  const random = new Generator(errors.generator);
  const shapes = counts.map((c) => Math.fround(c + 0.01));
  const gammas = new Float32Array(n * t);
  for (let i = 0; i < gammas.length; i++) gammas[i] = random.gamma(shapes[i % t]!);
  const more = new Float32Array(n);
  for (let d = 0; d < n; d++) more[d] = random.exponential();
  const lower = errors.classes.map(() => new Float32Array(n));
  const upper = errors.classes.map(() => new Float32Array(n));
  const solved = new Float64Array(t);
  for (let d = 0; d < n; d++) {
    const way = d * t * t;
    let whole = 0;
    for (let c = 0; c < t; c++) {
      let value = 0;
      for (let i = 0; i < t; i++) value += gammas[d * t + i]! * errors.ways[way + i * t + c]!;
      solved[c] = value;
      if (inside[c]) whole += Math.max(value, 0);
    }
    for (let c = 0; c < t; c++) {
      const own = more[d]! * Math.max(errors.ways[way + c * t + c]!, 0);
      lower[c]![d] = (100 * Math.max(solved[c]!, 0)) / Math.max(whole + own, 1e-9);
      upper[c]![d] = (100 * Math.max(solved[c]! + own, 0)) / Math.max(whole + (inside[c] ? own : 0), 1e-9);
    }
  }
  return { lower, upper };
}
