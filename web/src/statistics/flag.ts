// The leukemia flag: smearscan/differential/flag.py. The sentences come from the dictionary; the English
// ones are Python's to the letter.

import type { Say } from "../words";
import type { Corrected } from "./correction";
import type { Excess } from "./excess";
import { fixed, general } from "./format";
import { exactInterval } from "./intervals";

export type FlagState = "flagged" | "not flagged" | "insufficient";

export interface FlagRule {
  level: number;
  tiers: number[];
  tier_probability: number;
  power: number;
  min_detectable_percent: number;
  min_cells: number;
  blast_percent: number;
  most_unclassified_percent: number;
}

export interface Flag {
  state: FlagState;
  reason: string;
  tier: string;
  p_value: number;
}

export interface Counted {
  /** Whether the blast net ran. */
  knows_blasts: boolean;
  blasts: number;
  total: number;
}

export const lookLevel = (share: number): number => 1 - 0.05 * share;

export function decide(
  count: Counted, rule: FlagRule, test: Excess | null, own: Corrected | null, share: number, flagShare: number,
  possible: [number, number], say: Say,
): Flag {
  if (!count.knows_blasts) return flag("insufficient", say("flag.no_net"));
  if (count.total === 0) return flag("insufficient", say("flag.no_cells"));
  const [low, high] = exactInterval(count.blasts, count.total, lookLevel(share));
  const told = say("flag.count", {
    blasts: count.blasts, total: count.total, percent: fixed((100 * count.blasts) / count.total, 1), low: fixed(low, 1), high: fixed(high, 1),
    level: general(100 * lookLevel(share), 6),
  });
  if (test === null || own === null) return byPercentage(count, rule, told, low, say);
  let found = byTest(count, rule, told, test, own, flagShare, say);
  if (found.state !== "flagged") found = byGuide(found, rule, share, possible, say);
  return byLikeness(found, rule, count.total, possible[1], say);
}

/** Say of a slide that is not flagged on what that rests: smearscan/differential/conclusions.py. */
export function withProviso(found: Flag, ofSite: boolean, say: Say): Flag {
  if (found.state !== "not flagged" || ofSite) return found;
  return { ...found, reason: found.reason + say("flag.proviso") };
}

function flag(state: FlagState, reason: string, tier = "", p_value = NaN): Flag {
  return { state, reason, tier, p_value };
}

function byTest(count: Counted, rule: FlagRule, told: string, test: Excess, own: Corrected, flagShare: number, say: Say): Flag {
  const p = test.p_value;
  told += say("flag.expected", { expected: fixed(test.expected, 1), chance: p < 1e-4 ? "p < 0.0001" : `p = ${general(p, 2)}` });
  if (p <= rule.level * flagShare) {
    const [reached, words] = tier(rule, own, say);
    const few = count.total < rule.min_cells ? say("flag.few", { total: count.total }) : "";
    return flag("flagged", told + say("flag.excess") + words + few, reached, p);
  }
  const found = test.detectable_percent;
  const power = general(100 * rule.power);
  told += Number.isNaN(found) ? say("flag.no_power", { power }) : say("flag.power", { found: fixed(found, 1), power });
  if (count.total < rule.min_cells)
    return flag("insufficient", told + say("flag.fewer", { total: count.total, least: rule.min_cells }), "", p);
  if (p <= rule.level) return flag("insufficient", told + say("flag.one_look"), "", p);
  if (!(found <= rule.min_detectable_percent))
    return flag("insufficient", told + say("flag.must_find", { percent: general(rule.min_detectable_percent) }), "", p);
  return flag("not flagged", told + say("flag.no_excess"), "", p);
}

function byGuide(found: Flag, rule: FlagRule, share: number, [cells, n]: [number, number], say: Say): Flag {
  const percent = share < 1 ? exactInterval(cells, n, lookLevel(share))[0] : (100 * cells) / Math.max(n, 1);
  if (n < rule.min_cells || percent < rule.blast_percent) return found;
  const told = say("flag.possible", { cells, total: n, percent: general(rule.blast_percent) });
  return flag("flagged", found.reason + told, "possible blasts", found.p_value);
}

function byLikeness(found: Flag, rule: FlagRule, named: number, asked: number, say: Say): Flag {
  const unnamed = (100 * (asked - named)) / Math.max(asked, 1);
  if (unnamed <= rule.most_unclassified_percent) return found;
  const state = found.state === "not flagged" ? "insufficient" : found.state;
  return { ...found, state, reason: found.reason + say("flag.unnamed", { percent: fixed(unnamed, 0) }) };
}

function tier(rule: FlagRule, own: Corrected, say: Say): [string, string] {
  if (own.above.some(Number.isNaN)) return ["any excess", say("flag.tier_unknown")];
  const reached = rule.tiers.filter((_, i) => own.above[i]! >= rule.tier_probability);
  const k = own.classes.indexOf("blast");
  const words = say("flag.corrected", {
    percent: fixed(own.percent[k]!, 1), low: fixed(own.low[k]!, 1), high: fixed(own.high[k]!, 1),
  });
  const chances = rule.tiers.map((limit, i) => say("flag.chance", { percent: general(limit), chance: probability(own.above[i]!, say) }));
  const highest = reached.length ? `>= ${general(reached[reached.length - 1]!)} %` : "any excess";
  return [highest, `${words}; ${chances.join(", ")}`];
}

function byPercentage(count: Counted, rule: FlagRule, told: string, low: number, say: Say): Flag {
  const percent = (100 * count.blasts) / count.total;
  const limit = rule.blast_percent;
  const words = { percent: general(limit) };
  const reached = `>= ${words.percent} %`;
  told += say("flag.errors_unknown");
  if (low >= limit) return flag("flagged", told + say("flag.whole_interval", words), reached);
  if (count.total < rule.min_cells)
    return flag("insufficient", told + say("flag.fewer", { total: count.total, least: rule.min_cells }));
  if (percent >= limit) return flag("flagged", told + say("flag.at_or_above", words), reached);
  return flag("not flagged", told + say("flag.below", words));
}

function probability(p: number, say: Say): string {
  if (p < 0.001) return say("flag.chance_low");
  return p > 0.999 ? say("flag.chance_high") : fixed(p, 3);
}
