// Agreement of two readers beyond chance: Cohen, Educ. Psychol. Meas. 20:37 (1960).

export interface Agreement {
  cells: number;
  agreed: number;
  kappa: number;
}

/** Cohen's kappa of pairs of names; NaN where chance alone would agree on everything. */
export function agreement(pairs: [string, string][]): Agreement {
  const n = pairs.length;
  const first = new Map<string, number>();
  const second = new Map<string, number>();
  let agreed = 0;
  for (const [a, b] of pairs) {
    if (a === b) agreed++;
    first.set(a, (first.get(a) ?? 0) + 1);
    second.set(b, (second.get(b) ?? 0) + 1);
  }
  let chance = 0;
  for (const [name, k] of first) chance += (k / n) * ((second.get(name) ?? 0) / n);
  return { cells: n, agreed, kappa: chance < 1 ? (agreed / n - chance) / (1 - chance) : NaN };
}
