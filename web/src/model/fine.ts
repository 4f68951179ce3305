// Fine types: which of the nets' finer guesses still stand once people have named cells.

import type { Reading } from "./reading";

export interface FineGuess {
  name: string;
  /** Given the type; null where it is not known. */
  probability: number | null;
}

/** Finer guess of a cell; undefined where it has none, or a person gave it another type than that which the guess is within. */
export function fineOf(reading: Reading, cell: number): FineGuess | undefined {
  const { fine } = reading.slide;
  const name = fine?.names[fine.which[cell] ?? -1];
  return fine && name !== undefined && isAsCalled(reading, cell) ? { name, probability: fine.probability[cell]! } : undefined;
}

/** Whether a person's word took the finer guess from a cell. */
export function hasLostFine(reading: Reading, cell: number): boolean {
  return (reading.slide.fine?.which[cell] ?? -1) >= 0 && !isAsCalled(reading, cell);
}

/** Fine types that some cell of the slide had before anybody named one. */
export function fineNames({ slide: { fine } }: Reading): string[] {
  const seen = new Set(fine?.which);
  return fine?.names.filter((_, k) => seen.has(k)) ?? [];
}

/** Cells of each fine type, and how many counted cells have none because a person gave them their type. */
export function countFine(reading: Reading, counted: readonly string[]): { of: Map<string, number>; without: number } {
  const of = new Map<string, number>();
  let without = 0;
  for (let i = 0; i < reading.count; i++) {
    const name = fineOf(reading, i)?.name;
    if (name !== undefined) of.set(name, (of.get(name) ?? 0) + 1);
    else if (!isAsCalled(reading, i) && counted.includes(reading.names[i]!)) without++;
  }
  return { of, without };
}

/** Whether a cell has the type that the nets gave it; one that a person added has not. */
function isAsCalled(reading: Reading, cell: number): boolean {
  return reading.names[cell] === reading.slide.cells.type[cell];
}
