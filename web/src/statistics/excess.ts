// Are there more blasts than the nets' own errors explain? smearscan/differential/statistics/excess.py.

import { logBeta } from "./beta";
import type { NamingErrors } from "./errors";

export interface Excess {
  expected: number;
  p_value: number;
  critical: number;
  detectable_percent: number;
}

const UPPER = 2.326;
const PRIOR_CELLS = 10;

/** Test the blast count of a slide; `counts` in the order of `errors.classes`. */
export function excess(counts: number[], errors: NamingErrors, counted: string[], level: number, power: number): Excess {
  const blast = errors.classes.indexOf("blast");
  const healthy = errors.classes.map((name) => counted.includes(name) && name !== "blast");
  const n = counts.reduce((sum, value, k) => sum + (counted.includes(errors.classes[k]!) ? value : 0), 0);
  const [mean, error, deviation] = nullRate(counts, errors, healthy, blast);
  const [a, b] = betaOf(mean + UPPER * error, deviation ** 2);
  const observed = counts[blast]!;
  const below = cumulative(n, a, b, Math.max(observed, 1));
  const pValue = 1 - (observed > 0 ? below[observed - 1]! : 0);
  const critical = criticalCount(n, a, b, level);
  return {
    expected: n * mean,
    p_value: Math.min(Math.max(pValue, 0), 1),
    critical,
    detectable_percent: 100 * detectable(n, critical, mean, deviation, errors, blast, power),
  };
}

/** Mean false-blast rate by the slide's composition, the mean's error, and the deviation. */
function nullRate(counts: number[], errors: NamingErrors, healthy: boolean[], blast: number): [number, number, number] {
  const t = errors.classes.length;
  const all = [...Array(t).keys()];
  const rate = all.map((k) => (k === blast ? 0 : errors.called_blast[k]!));
  const odds = rate.map((r) => r / Math.max(1 - r, 0.05));
  let seen = counts.map((c, k) => (k === blast ? 0 : c));
  // isClass[true][called]
  const isClass = all.map((i) => {
    const prior = PRIOR_CELLS * errors.reference[i]! + seen[i]!;
    return all.map((c) => prior * (c === blast ? 0 : errors.mean[i]![c]!));
  });
  for (const c of all) {
    const sum = Math.max(all.reduce((s, i) => s + isClass[i]![c]!, 0), 1e-12);
    for (const i of all) isClass[i]![c]! /= sum;
  }
  if (!all.some((k) => healthy[k] && seen[k]! > 0)) seen = all.map((k) => (healthy[k] ? errors.labeled[k]! + 1 : 0));
  const falseOdds = all.map((c) => all.reduce((s, i) => s + odds[i]! * isClass[i]![c]!, 0));
  const extra = sum(all, (c) => seen[c]! * falseOdds[c]!);
  const whole = sum(all, (c) => (healthy[c] ? seen[c]! : 0)) + extra;
  const mean = extra / whole;
  const cells = all.map((i) => sum(all, (c) => seen[c]! * isClass[i]![c]!));
  const unsure =
    sum(all, (i) => (cells[i]! ** 2 * rate[i]! * (1 - rate[i]!)) / (errors.labeled[i]! + 2) / Math.max(1 - rate[i]!, 0.05) ** 4) /
    whole ** 2;
  const misnamed = all.map((i) => {
    const row = all.map((c) => (c === blast ? 0 : errors.mean[i]![c]!));
    const total = Math.max(sum(all, (c) => row[c]!), 1e-12);
    const first = sum(all, (c) => (falseOdds[c]! * row[c]!) / total);
    const second = sum(all, (c) => (falseOdds[c]! ** 2 * row[c]!) / total);
    return Math.max(second - first ** 2, 0) / (errors.concentration[i]! + 1);
  });
  const composition =
    (sum(all, (c) => seen[c]! * falseOdds[c]! ** 2) + sum(all, (i) => cells[i]! ** 2 * misnamed[i]!)) / whole ** 2;
  return [mean, Math.sqrt(composition), Math.sqrt(mean ** 2 * errors.variation_high + unsure + composition)];
}

function sum(over: number[], term: (k: number) => number): number {
  let total = 0;
  for (const k of over) total += term(k);
  return total;
}

function betaOf(mean: number, variance: number): [number, number] {
  mean = Math.min(Math.max(mean, 1e-6), 1 - 1e-6);
  const size = Math.max((mean * (1 - mean)) / Math.max(variance, 1e-12) - 1, 1e-3);
  return [mean * size, (1 - mean) * size];
}

/** Beta-binomial P(K <= k) for k from 0 to `top` - 1, by the ratio of neighboring terms. */
function cumulative(n: number, a: number, b: number, top: number): Float64Array {
  const out = new Float64Array(top);
  let log = logBeta(a, b + n) - logBeta(a, b);
  let total = 0;
  for (let k = 0; k < top; k++) {
    if (k > 0) {
      const left = Math.max(n - (k - 1), 0);
      log += Math.log(left * (a + k - 1)) - Math.log(k * (b + Math.max(left - 1, 0)));
    }
    total += Math.exp(log);
    out[k] = Math.min(total, 1);
  }
  return out;
}

/** Least k with P(K >= k) <= level; n + 1 where there is none. */
function criticalCount(n: number, a: number, b: number, level: number): number {
  for (let top = 64; ; top *= 4) {
    const first = cumulative(n, a, b, top).findIndex((value) => value >= 1 - level);
    if (first >= 0) return Math.min(first + 1, n + 1);
    if (n < top) return n + 1;
  }
}

/** Least blast share that reaches the critical count with this power; NaN where none does. */
function detectable(n: number, critical: number, mean: number, deviation: number, errors: NamingErrors, blast: number, power: number): number {
  const hit = errors.called_blast[blast]!;
  const hitDeviation = Math.sqrt((hit * (1 - hit)) / (errors.concentration[blast]! + 1));
  const missed = (share: number): number => {
    const called = share * hit + (1 - share) * mean;
    const [a, b] = betaOf(called, (share * hitDeviation) ** 2 + ((1 - share) * deviation) ** 2);
    return cumulative(n, a, b, Math.max(critical, 1))[critical - 1]!;
  };
  if (!(n > 0 && critical <= n && missed(1) <= 1 - power)) return NaN;
  let [low, high] = [0, 1];
  for (let i = 0; i < 12; i++) {
    const middle = (low + high) / 2;
    if (missed(middle) <= 1 - power) high = middle;
    else low = middle;
  }
  return high;
}
