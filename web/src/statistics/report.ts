// A slide's report from its counts: smearscan/differential/slide.py.

import type { Say } from "../words";
import { corrected, type Corrected } from "./correction";
import type { NamingErrors } from "./errors";
import { excess, type Excess } from "./excess";
import { decide, lookLevel, withProviso, type Flag, type FlagRule } from "./flag";
import { exactInterval, upperLimit, type Interval } from "./intervals";

/** What the counts of every slide of a run are judged by. */
export interface Judgement {
  task: "both" | "blast" | "differential";
  /** Classes of the denominator, blast last where the blast net ran. */
  counted: string[];
  rule: FlagRule;
  errors: NamingErrors | null;
  /** Of slides that were brought to the reference stain, where these have errors of their own. */
  unlike: NamingErrors | null;
}

export interface Tally {
  /** Cells by name. */
  types: Record<string, number>;
  possible: number;
  /** Of the error of intervals, and of the flag's level, what this look at the slide may spend. */
  share: number;
  flag_share: number;
  /** Whether the slide was brought to the reference stain. */
  restained: boolean;
  /** Kinds of doubts in which what cells are called is not to be believed: the flag's sentence begins with them. */
  names_in_doubt: string[];
}

export interface SlideReport {
  total: number;
  counts: number[];
  percent: number[];
  intervals: Interval[];
  level: number;
  unclassified: number;
  cells: number;
  blast_percent: number;
  blast_interval: Interval;
  /** Leukocytes without a name, in percent of those that were asked for one. */
  unnamed_percent: number;
  /** Whether so many have a name that a blast percentage means something. */
  is_like_labeled: boolean;
  blast_limit: number;
  flag: Flag;
  test: Excess | null;
  corrected: Corrected | null;
}

export function reportSlide(tally: Tally, by: Judgement, say: Say): SlideReport {
  const of = (name: string): number => tally.types[name] ?? 0;
  const counts = by.counted.map(of);
  const total = counts.reduce((s, n) => s + n, 0);
  const level = lookLevel(tally.share);
  const knowsBlasts = by.counted.includes("blast");
  const blasts = knowsBlasts ? of("blast") : 0;
  const errors = by.task === "both" ? (tally.restained && by.unlike) || by.errors : null;
  let test: Excess | null = null;
  let own: Corrected | null = null;
  if (errors !== null) {
    const seen = errors.classes.map(of);
    test = excess(seen, errors, by.counted, by.rule.level, 1 - (1 - by.rule.power) * tally.share);
    own = corrected(seen, errors, by.counted, level, by.rule.tiers);
  }
  const asked: [number, number] = errors !== null ? [tally.possible, askedOf(tally)] : [0, 0];
  const found = decide({ knows_blasts: knowsBlasts, blasts, total }, by.rule, test, own, tally.share, tally.flag_share, asked, say);
  const flag = errors === null ? found : withProviso(found, errors.of_site, say);
  flag.reason = caution(tally.names_in_doubt, say) + flag.reason;
  const unnamed = (100 * (asked[1] - total)) / Math.max(asked[1], 1);
  if (own !== null && unnamed > by.rule.most_unclassified_percent) own = withheld(own);
  const unclassified = of("unclassified");
  const blastInterval: Interval = knowsBlasts ? exactInterval(blasts, total, level) : [NaN, NaN];
  return {
    total, counts, level, test,
    corrected: own,
    percent: counts.map((n) => (total ? (100 * n) / total : NaN)),
    intervals: counts.map((n) => exactInterval(n, total, level)),
    unclassified,
    ...likeness(total, unclassified, by.rule),
    cells: Object.values(tally.types).reduce((s, n) => s + n, 0),
    blast_percent: knowsBlasts && total ? (100 * blasts) / total : NaN,
    blast_interval: blastInterval,
    blast_limit: knowsBlasts ? (total ? upperLimit(blasts, total, level) : 100) : NaN,
    flag,
  };
}

export type Summary = Pick<SlideReport, "cells" | "unclassified" | "blast_percent" | "blast_interval" | "unnamed_percent" | "is_like_labeled"> & { flag: { state: string; tier: string } };

/** What the list of slides shows; the flag of a slide nobody has touched is Python's own. */
export function summarize(tally: Tally, by: Judgement, flag: { state: string; tier: string }): Summary {
  const of = (name: string): number => tally.types[name] ?? 0;
  const total = by.counted.reduce((s, name) => s + of(name), 0);
  const knows = by.counted.includes("blast");
  return {
    cells: Object.values(tally.types).reduce((s, n) => s + n, 0),
    unclassified: of("unclassified"),
    ...likeness(total, of("unclassified"), by.rule),
    blast_percent: knows && total ? (100 * of("blast")) / total : NaN,
    blast_interval: knows ? exactInterval(of("blast"), total, lookLevel(tally.share)) : [NaN, NaN],
    flag,
  };
}

function likeness(total: number, unclassified: number, rule: FlagRule): Pick<SlideReport, "unnamed_percent" | "is_like_labeled"> {
  const unnamed_percent = (100 * unclassified) / (total + unclassified); // NaN where none was found
  return { unnamed_percent, is_like_labeled: !(unnamed_percent > rule.most_unclassified_percent) };
}

/** The correction without a number, where what is known of the nets does not hold. */
function withheld(own: Corrected): Corrected {
  const nothing = (values: ArrayLike<number>): number[] => Array.from(values, () => NaN);
  return { ...own, percent: nothing(own.percent), low: nothing(own.low), high: nothing(own.high), above: nothing(own.above) };
}

function caution(names: string[], say: Say): string {
  return names.length ? say("flag.doubted", { names: names.map((name) => say(`doubt.${name}`)).join(", ") }) : "";
}

const OUTSIDE = ["erythroblast", "smudge_cell", "platelet", "other"];

/** Leukocytes that were asked for a name: all but those outside the denominator. */
function askedOf(tally: Tally): number {
  return Object.entries(tally.types).reduce((s, [name, n]) => s + (OUTSIDE.includes(name) ? 0 : n), 0);
}
