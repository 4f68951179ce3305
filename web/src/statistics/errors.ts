// What the page is told of how the networks misname cells: smearscan's naming errors, computed there.

import type { GeneratorState } from "./random";

export interface NamingErrors {
  /** True classes, T. */
  classes: string[];
  labeled: number[];
  /** Whether cells of the slide's own laboratory were labeled. */
  of_site: boolean;
  /** Mean rows, T x (T + 1): what a cell of each class is called, unclassified last. */
  mean: number[][];
  /** Share of each class called blast, of its cells that get a name. */
  called_blast: number[];
  concentration: number[];
  variation_high: number;
  /** Shares of the classes in healthy blood. */
  reference: number[];
  /** Why a class cannot be corrected. */
  unidentified: Record<string, string>;
  /** Inverse of the mean matrix, T x T, and what a class weighs. */
  mean_inverse: number[][];
  mean_weight: number[];
  /** Possible inverse matrices times weights, draws x T x T, little-endian float32. */
  draws: number;
  ways: Float32Array;
  generator: GeneratorState;
}
