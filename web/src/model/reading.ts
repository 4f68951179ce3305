// One reader's work on one slide: a list of steps, and what follows from it. Undo takes the last step back.

import type { Slide, SlideEntry } from "./data";
import type { Tally } from "../statistics/report";

export type Box = [number, number, number, number];

export type Step = { at: string } & (
  | { do: "name"; cells: number[]; to: string }
  | { do: "confirm"; cells: number[] }
  | { do: "remove"; cells: number[] }
  | { do: "add"; field: number; box: Box; to: string }
  | { do: "check"; field: number; on: boolean }
  | { do: "sign" }
  | { do: "reopen" }
);

export type StepBody = Step extends infer S ? (S extends Step ? Omit<S, "at"> : never) : never;

export const REMOVED = "";
export const UNCLASSIFIED = "unclassified";

export interface Added {
  field: number;
  box: Box;
  at: string;
}

export class Reading {
  names: string[] = [];
  /** When a person last decided on a cell; "" where nobody has. */
  decided: string[] = [];
  added: Added[] = [];
  checked = new Set<number>();
  signed = "";
  private undone: Step[] = [];

  constructor(
    public reader: string,
    readonly slide: Slide,
    public steps: Step[] = [],
  ) {
    this.replay();
  }

  private replay(): void {
    this.names = [...this.slide.cells.type];
    this.decided = this.names.map(() => "");
    this.added = [];
    this.checked = new Set();
    this.signed = "";
    for (const step of this.steps) this.apply(step);
  }

  private apply(step: Step): void {
    switch (step.do) {
      case "name":
        for (const i of step.cells) this.set(i, step.to, step.at);
        break;
      case "remove":
        for (const i of step.cells) this.set(i, REMOVED, step.at);
        break;
      case "confirm":
        for (const i of step.cells) this.set(i, this.names[i]!, step.at);
        break;
      case "add":
        this.added.push({ field: step.field, box: step.box, at: step.at });
        this.names.push(step.to);
        this.decided.push(step.at);
        break;
      case "check":
        if (step.on) this.checked.add(step.field);
        else this.checked.delete(step.field);
        break;
      case "sign":
        this.signed = step.at;
        break;
      case "reopen":
        this.signed = "";
    }
  }

  private set(i: number, name: string, at: string): void {
    if (i >= this.names.length) return;
    this.names[i] = name;
    this.decided[i] = at;
  }

  /** Do one step; false where it would change nothing or is not allowed. */
  take(body: StepBody): boolean {
    if (this.signed && body.do !== "reopen") return false;
    if (body.do === "sign" && this.unclassified > 0) return false;
    if ("cells" in body && body.cells.length === 0) return false;
    const step = { ...body, at: new Date().toISOString() } as Step;
    this.steps.push(step);
    this.undone = [];
    this.apply(step);
    return true;
  }

  get canUndo(): boolean {
    return this.steps.length > 0 && !this.signed;
  }

  get canRedo(): boolean {
    return this.undone.length > 0 && !this.signed;
  }

  undo(): Step | undefined {
    if (!this.canUndo) return undefined;
    const step = this.steps.pop()!;
    this.undone.push(step);
    this.replay();
    return step;
  }

  redo(): Step | undefined {
    const step = this.canRedo ? this.undone.pop() : undefined;
    if (step) {
      this.steps.push(step);
      this.apply(step);
    }
    return step;
  }

  get count(): number {
    return this.names.length;
  }

  get unclassified(): number {
    return this.names.filter((name) => name === UNCLASSIFIED).length;
  }

  get nDecided(): number {
    return this.decided.filter(Boolean).length;
  }

  fieldOf(i: number): number {
    const n = this.slide.cells.field.length;
    return i < n ? this.slide.cells.field[i]! : this.added[i - n]!.field;
  }

  boxOf(i: number): Box {
    const { field, xyxy } = this.slide.cells;
    return i < field.length ? (xyxy.slice(4 * i, 4 * i + 4) as Box) : this.added[i - field.length]!.box;
  }

  /** Whether the cell may be a blast: by the net's sensitive threshold, or where a person decided, by name. */
  mayBeBlast(i: number): boolean {
    if (this.decided[i] || i >= this.slide.cells.field.length) return this.names[i] === "blast";
    return this.slide.cells.possible[i] === 1;
  }

  tally(entry: SlideEntry): Tally {
    const types: Record<string, number> = {};
    let possible = 0;
    for (let i = 0; i < this.names.length; i++) {
      const name = this.names[i]!;
      if (name === REMOVED) continue;
      types[name] = (types[name] ?? 0) + 1;
      if (this.mayBeBlast(i)) possible++;
    }
    return { types, possible, share: entry.share, flag_share: entry.flag_share, restained: entry.restained, names_in_doubt: entry.names_in_doubt };
  }
}
